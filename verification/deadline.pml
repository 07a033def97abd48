/* A holder's own deadline ends before anybody can take an expired lease.     Requirements CTL-3, CTL-4.
 *
 * Orders do not rest on this (the fence and the intents do): it is why two instances do not both show
 * ACTIVE for a while. One clock for all: CLOCK_BOOTTIME and the database's clock are taken to run at
 * the same rate, not to show the same time. Requests and answers take any time, or get lost.
 * The unit is 100 ms, the figures are the default settings.
 */
#define TTL 12
#ifndef GIVE_UP
#define GIVE_UP 8
#endif
#define END 40                   /* the model ends here */

byte time = 0;

/* The database. */
bool taken = false;
byte lease_until = TTL;

/* The holder: it acts while time < until. */
byte until = GIVE_UP;
byte asked = 0;
#ifdef M_FROM_ANSWER             /* trust counts from when the answer came */
#define TRUSTED_FROM time
#else
#define TRUSTED_FROM asked
#endif

mtype = { QUIET, RENEWAL, GRANTED, NO_ROW };
mtype wire = QUIET;              /* one call at a time, as in the elector */

proctype Time() { do :: time < END -> time++ od }

proctype Holder() {
  do
  :: atomic { wire == QUIET && time < until -> asked = time; wire = RENEWAL }
  :: atomic {
       wire == GRANTED ->
       if
       :: time < until -> until = TRUSTED_FROM + GIVE_UP
       :: else -> skip           /* too late: it has stopped already */
       fi;
       wire = QUIET
     }
  :: atomic { wire == NO_ROW -> until = 0; wire = QUIET }
  :: atomic { wire != QUIET -> wire = QUIET }         /* lost, or timed out */
  od
}

proctype Database() {
  do
  :: atomic { wire == RENEWAL && !taken -> lease_until = time + TTL; wire = GRANTED }
  :: atomic { wire == RENEWAL && taken -> wire = NO_ROW }
  :: atomic {                                        /* a taker that goes by the database's clock */
       !taken && lease_until < time ->
       assert(!(time < until));                      /* CTL-3: the old holder has stopped */
       taken = true
     }
  od
}

#ifdef REACH
proctype Witness() { atomic { REACH -> assert(false) } }
#endif

init {
  atomic {
    run Time(); run Holder(); run Database();
#ifdef REACH
    run Witness()
#endif
  }
}
