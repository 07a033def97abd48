/* The lease's row, and guarded transactions of three processes.      Requirements CTL-1, CTL-2; invariant I1.
 *
 * Processes 1 and 2 have the same name: 2 is the restart of 1, which may be paused and wake up any
 * time later (A → B → A). Process 3 has another name. Each has two connections, so that its guarded
 * transactions overlap. A lease may be suspected, released and taken at any moment: no assumption
 * about time. A transaction may be aborted at any moment (a crash, a cut, pg_terminate_backend), and
 * ending sessions is not relied on: takeover.pml says what that is for.
 */
#define PROCESSES 3
#ifndef EPOCHS
#define EPOCHS 5
#endif
#define name_of(process) (process == 3 -> 2 : 1)

/* The row. */
byte epoch = 0;
byte holder = 0;                 /* a process: instance and boot; 0: vacant */
byte holder_name = 0;            /* the instance alone, for the mutant that trusts names */
bool barred = false;

/* Open guarded transactions, of which each holds FOR KEY SHARE on the row. 0: none. */
byte transaction[6];             /* the epoch of each connection's open transaction */
#define no_fence_is_open \
  (transaction[0] + transaction[1] + transaction[2] + transaction[3] + transaction[4] + transaction[5] == 0)

byte owner[EPOCHS + 1];          /* a ghost: who ever held each epoch */

#ifdef M_NAMES                   /* the fence compares who, not since when */
#define FENCED_IN (holder_name == name_of(me) && !barred)
#else
#define FENCED_IN (epoch == mine && !barred)
#endif
#ifdef M_NO_KEY_LOCK             /* the epoch is no key: changing it waits for nobody */
#define LOCK_IS_FREE true
#else
#define LOCK_IS_FREE no_fence_is_open
#endif
#ifdef M_BLIND_TAKE              /* the taker writes what it has read, plus one */
#define STILL_EXPECTED true
#else
#define STILL_EXPECTED (epoch == expected)
#endif

inline begin(connection) {       /* SELECT … WHERE epoch = mine AND NOT barred FOR KEY SHARE */
  transaction[connection] == 0 && mine > 0 && FENCED_IN -> transaction[connection] = mine
}

inline commit(connection) {
  transaction[connection] > 0 ->
  assert(transaction[connection] == epoch);          /* I1: before the next epoch exists, or never */
  assert(owner[epoch] == me);
  transaction[connection] = 0
}

inline abort(connection) { transaction[connection] > 0 -> transaction[connection] = 0 }

proctype Process(byte me; byte one; byte two) {
  byte mine = 0;                 /* the epoch under which it acts */
  byte expected = 0;             /* what it read before a takeover */
  bool taking = false;
  do
  :: atomic { begin(one) }
  :: atomic { begin(two) }
  :: atomic { commit(one) }
  :: atomic { commit(two) }
  :: atomic { abort(one) }
  :: atomic { abort(two) }

  /* CTL-2: take over, in three steps, each of which may come arbitrarily late or never. */
  :: atomic { !taking && mine == 0 && epoch < EPOCHS -> expected = epoch; taking = true }
  :: atomic { taking && epoch == expected && !barred -> barred = true }
  :: atomic {                    /* UPDATE … SET epoch = epoch + 1 WHERE epoch = expected */
       taking && STILL_EXPECTED && LOCK_IS_FREE ->
       assert(expected + 1 > epoch);                 /* epochs strictly increase */
       epoch = expected + 1;
       assert(owner[epoch] == 0);                    /* one holder an epoch, for ever */
       owner[epoch] = me;
       holder = me; holder_name = name_of(me); barred = false;
       mine = epoch; taking = false; expected = 0
     }
  :: atomic {                    /* it gives up, and takes the bar away if it can */
       taking ->
       if
       :: epoch == expected -> barred = false
       :: true -> skip
       fi;
       taking = false; expected = 0
     }

  /* Renew: a row must match, else it steps down. Being late changes nothing above. */
  :: atomic { mine > 0 && epoch != mine -> mine = 0 }
  /* Release keeps the epoch. Nothing here relies on draining first. */
  :: atomic { mine > 0 && epoch == mine && holder == me -> holder = 0; holder_name = 0; mine = 0 }
  od
}

#ifdef REACH
proctype Witness() { atomic { REACH -> assert(false) } }
#endif

init {
  atomic {
    run Process(1, 0, 1); run Process(2, 2, 3); run Process(3, 4, 5);
#ifdef REACH
    run Witness()
#endif
  }
}
