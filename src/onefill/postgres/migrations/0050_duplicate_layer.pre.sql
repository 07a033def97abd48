-- Adds only: which layer recognised the last copy of a signal. Locks: none of note, it is null at
-- first. Back: drop the column; nothing decides by it.
ALTER TABLE signal_log ADD COLUMN last_duplicate_layer text;
