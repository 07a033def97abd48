/* A takeover ends, whatever the old holder does.                     Requirements CTL-5, CTL-6.
 *
 * The holder is busy: two connections with overlapping guarded transactions, without a pause. It may
 * be stopped (SIGSTOP, a stalled machine) at any moment, also inside a transaction, and for ever. The
 * first taker may die after each of its steps; the second one lives, and takes an expired lease.
 * Liveness under weak fairness: whoever could always go on goes on at last.
 */
byte epoch = 1;
bool barred = false;
bool lease_runs = true;          /* lease_until is in the future; only renewals keep it so */
bool open[2];                    /* the holder's guarded transactions, each with its key lock */
bool leading = true;             /* the holder has not been fenced off, so it renews */
bool stopped = false;            /* the holder's process is stopped for ever */
bool determined = false;         /* the first taker lives on after its first step */

#ifdef M_NO_BARRED
#define BAR skip
#else
#define BAR barred = true
#endif
#ifdef M_NO_TERMINATE
#define TERMINATE skip
#else
#define TERMINATE open[0] = false; open[1] = false
#endif
#ifdef M_RENEWS_ON               /* a fenced holder goes on renewing */
#define STEP_DOWN skip
#else
#define STEP_DOWN leading = false
#endif

/* UPDATE … SET epoch = epoch + 1: waits until no key lock is held; new ones may overtake it. */
#define TAKE atomic { epoch == 1 && !open[0] && !open[1] -> epoch = 2; barred = false }

proctype Connection(bit me) {
  do
  :: atomic { !stopped && leading && epoch == 1 && !barred -> open[me] = true };
     if
     :: atomic { !stopped && open[me] -> open[me] = false }            /* commit */
     :: atomic { !stopped && !open[me] -> skip }                       /* terminated: reconnect */
     fi
  :: atomic { !stopped && leading && (epoch != 1 || barred) -> STEP_DOWN }   /* Fenced */
  od
}

proctype Renewals() {
  do
  :: atomic { !stopped && leading && epoch == 1 -> lease_runs = true }
  od
}

proctype Stop() { if :: stopped = true :: skip fi }

proctype DatabaseClock() {       /* a lease that nobody renews runs out */
  do
  :: lease_runs = false
  od
}

proctype FirstTaker() {          /* forced, or on a wrong suspicion: it does not ask lease_runs */
  if
  :: atomic { epoch == 1 -> BAR }
  :: epoch == 2 -> goto done
  fi;
  if
  :: goto done                   /* it dies, and leaves the row barred */
  :: determined = true
  fi;
  TERMINATE;
  if
  :: TAKE
  :: epoch == 2                  /* somebody was faster */
  fi;
done:
  skip
}

proctype SecondTaker() {         /* by the database's clock, read in the statement itself */
  if
  :: atomic { epoch == 1 && !lease_runs -> BAR }
  :: epoch == 2 -> goto done
  fi;
  TERMINATE;
  if
  :: TAKE
  :: epoch == 2
  fi;
done:
  skip
}

init { atomic { run Connection(0); run Connection(1); run Renewals(); run Stop();
                run DatabaseClock(); run FirstTaker(); run SecondTaker() } }

/* CTL-6: a taker that lives succeeds, however busy or paused the holder is. */
ltl not_starved { [] (determined -> <> (epoch == 2)) }
/* A taker that died after the bar has not locked everybody out. */
ltl not_wedged { [] (barred -> <> !barred) }
/* CTL-5: a stopped holder is succeeded without anybody's order. */
ltl succeeded { [] (stopped -> <> (epoch == 2)) }
