CREATE TABLE `blocks` (
	`number` integer PRIMARY KEY NOT NULL,
	`hash` text NOT NULL,
	`slot` integer NOT NULL,
	`time_ms` integer NOT NULL,
	`tx_count` integer NOT NULL,
	`gas_used` text NOT NULL,
	`seen_ms` integer NOT NULL,
	`final_ms` integer
);
--> statement-breakpoint
CREATE INDEX `blocks_final` ON `blocks` (`final_ms`,`number`);--> statement-breakpoint
CREATE INDEX `blocks_age` ON `blocks` (`seen_ms`);--> statement-breakpoint
CREATE TABLE `bundles` (
	`sequence` integer PRIMARY KEY NOT NULL,
	`source_set` text NOT NULL,
	`shard` integer NOT NULL,
	`round` integer NOT NULL,
	`tx_hash` text NOT NULL,
	`batch_count` integer NOT NULL,
	`batch_ms` integer NOT NULL,
	`bundle_ms` integer NOT NULL,
	`included_block` integer,
	`included_ms` integer
);
--> statement-breakpoint
CREATE INDEX `bundles_tx` ON `bundles` (`tx_hash`);--> statement-breakpoint
CREATE INDEX `bundles_round` ON `bundles` (`source_set`,`shard`,`round`);--> statement-breakpoint
CREATE INDEX `bundles_age` ON `bundles` (`bundle_ms`);--> statement-breakpoint
CREATE TABLE `entries` (
	`id` text PRIMARY KEY NOT NULL,
	`owner` text NOT NULL,
	`contract` text NOT NULL,
	`name` text NOT NULL,
	`kind` text NOT NULL,
	`status` text NOT NULL,
	`revision` integer NOT NULL,
	`due_at` integer NOT NULL,
	`fires` integer NOT NULL,
	`missed` integer NOT NULL,
	`funding_wei` text NOT NULL,
	`registered_height` integer NOT NULL,
	`entry_json` text NOT NULL,
	`block_number` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `entries_owner` ON `entries` (`owner`,`id`);--> statement-breakpoint
CREATE INDEX `entries_contract` ON `entries` (`contract`,`id`);--> statement-breakpoint
CREATE INDEX `entries_status` ON `entries` (`status`,`id`);--> statement-breakpoint
CREATE TABLE `evidence` (
	`id` text PRIMARY KEY NOT NULL,
	`offence` text NOT NULL,
	`offender` text NOT NULL,
	`source_set` text NOT NULL,
	`round` integer NOT NULL,
	`first_json` text NOT NULL,
	`second_json` text NOT NULL,
	`seen_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `evidence_age` ON `evidence` (`seen_ms`,`id`);--> statement-breakpoint
CREATE TABLE `faucet_grants` (
	`address` text PRIMARY KEY NOT NULL,
	`at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `fires` (
	`fire_key` text PRIMARY KEY NOT NULL,
	`entry_id` text NOT NULL,
	`occurrence` text NOT NULL,
	`success` integer NOT NULL,
	`gas_used` text NOT NULL,
	`tx_hash` text NOT NULL,
	`block_number` integer NOT NULL,
	`log_index` integer NOT NULL,
	`block_hash` text NOT NULL,
	`block_time_ms` integer NOT NULL,
	`seen_ms` integer NOT NULL,
	`final_ms` integer,
	`bundle_sequence` integer
);
--> statement-breakpoint
CREATE INDEX `fires_entry` ON `fires` (`entry_id`,`block_number`,`log_index`);--> statement-breakpoint
CREATE INDEX `fires_block` ON `fires` (`block_number`,`log_index`);--> statement-breakpoint
CREATE INDEX `fires_final` ON `fires` (`final_ms`,`block_number`);--> statement-breakpoint
CREATE TABLE `idempotency` (
	`route` text NOT NULL,
	`key` text NOT NULL,
	`body_hash` text NOT NULL,
	`status` integer,
	`headers` text,
	`body` text,
	`created_ms` integer NOT NULL,
	PRIMARY KEY(`route`, `key`)
);
--> statement-breakpoint
CREATE INDEX `idempotency_age` ON `idempotency` (`created_ms`);--> statement-breakpoint
CREATE TABLE `intents` (
	`id` text PRIMARY KEY NOT NULL,
	`action` text NOT NULL,
	`owner` text NOT NULL,
	`status` text NOT NULL,
	`tx_hash` text NOT NULL,
	`entry_id` text,
	`block_number` integer,
	`detail` text,
	`created_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `intents_status` ON `intents` (`status`,`created_ms`);--> statement-breakpoint
CREATE INDEX `intents_tx` ON `intents` (`tx_hash`);--> statement-breakpoint
CREATE TABLE `submissions` (
	`tx_hash` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`outcome` text NOT NULL,
	`detail` text NOT NULL,
	`created_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `submissions_age` ON `submissions` (`created_ms`);