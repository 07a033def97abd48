-- Adds only: old code keeps working (it neither reads nor writes this). Locks: none over a second.
-- Back: nothing to do; drop the column once no newer program runs.

-- What is not in leadership_history yet: objects with its columns, each of the beginning or of the
-- end of a reign. They come and go with the epoch that they are of, in one row, so that no death
-- loses one, and a history that can't be written holds nobody up; whoever leads carries them over.
ALTER TABLE leases ADD COLUMN unwritten jsonb NOT NULL DEFAULT '[]';
