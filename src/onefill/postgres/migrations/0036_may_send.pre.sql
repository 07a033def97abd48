-- Adds only: old code keeps working (it never writes this, and counts as able). Locks: none over a
-- second. Back: nothing to do; drop the column once no newer program runs.

-- Whether every broker of the instance takes orders from it: registered address, valid session.
ALTER TABLE instance_metadata ADD COLUMN may_send boolean NOT NULL DEFAULT true;
