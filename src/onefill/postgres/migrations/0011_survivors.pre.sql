-- Adds only: old code keeps working (it never writes this). Locks: none over a second.
-- Back: nothing to do; drop the column once no newer program runs.

-- When a holder that had been succeeded found so itself: it was alive, and the suspicion was wrong.
ALTER TABLE leadership_history ADD COLUMN survived_at timestamptz;
CREATE INDEX leadership_history_survivors ON leadership_history (resource, released_at)
    WHERE survived_at IS NOT NULL;
CREATE INDEX leadership_history_unended ON leadership_history (resource, epoch)
    WHERE released_at IS NULL;
