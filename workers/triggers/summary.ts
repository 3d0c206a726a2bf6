/** What lists show of a row. @module */
import type { Entry } from '#shared/trigger/types.ts'

/** Kind of the mode or, for timing and events, of what they wait for. */
const kindOf = ({ mode }: Entry['description']): string => (mode.type === 'active' ? 'active' : mode.when.kind)

/** The fields of a row that lists filter by and show. */
export const summaryOf = (entry: Entry) => ({
  id: entry.id,
  owner: entry.owner,
  contract: entry.description.action.to,
  name: entry.description.name,
  kind: kindOf(entry.description),
  status: entry.status,
  revision: entry.revision,
  dueAt: entry.dueAt,
  fires: entry.fires,
  missed: entry.missed,
  fundingWei: entry.fundingWei.toString(),
})
