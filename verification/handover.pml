/* Take Control: who asks, who hands over, and what if somebody dies.          Requirements CTL-11, CTL-12, CTL-13.
 *
 * Three instances; each may ask for control, be made to drain, force, or die at any moment (one
 * survives). A message only wakes; it may be lost, late, or come again and again, to anybody. The
 * 10 s without an answer are «at any time»: nothing rests on them.
 */
#ifndef CLICKS
#define CLICKS 2                 /* how often people press Take Control, in all */
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#define EPOCHS (1 + CLICKS + DEATHS)

/* The authority. */
byte epoch = 1;
byte holder = 1;                 /* 0: vacant */
byte request[EPOCHS + 2];        /* by expected epoch: who asked; 0: nobody. UNIQUE (resource, epoch) */

/* Messages DEACTIVATE that were ever sent, with the epoch in them: each may still arrive. */
byte message[EPOCHS + 2];        /* by epoch: from whom */

/* The instances, 1 to 3. */
mtype = { STANDBY, ACTIVE, DRAINING };
mtype mode[4] = STANDBY;
byte acts_under[4];              /* the epoch; 0: none */
bool dead[4];

byte clicks = 0;
byte deaths = 0;
byte owner[EPOCHS + 2];          /* a ghost: who ever held each epoch */
byte promised[EPOCHS + 2];       /* a ghost: who was told «your operation» for each epoch */

inline new_epoch(whom) {
  epoch++;
  assert(epoch <= EPOCHS);
  assert(owner[epoch] == 0);     /* CTL-1: one holder an epoch, ever */
  owner[epoch] = whom;
  holder = whom
}

inline hand_over() {             /* UPDATE … SET epoch = epoch + 1, holder = whom WHERE epoch = mine */
  assert(request[epoch] == whom);                    /* only on a request for this very epoch */
#ifdef M_RELEASE_FIRST
  holder = 0                     /* … and whom may acquire it, if nobody else does */
#else
  new_epoch(whom)
#endif
}

proctype Instance(byte me) {
  byte expected = 0;             /* the epoch that it asks for */
  byte whom = 0;                 /* to whom it is handing over */
  bool mine = false;             /* its request is the operation */
  byte e = 0;
  do
  /* Take Control: read the epoch … */
  :: atomic {
       mode[me] == STANDBY && holder != me && expected == 0 && clicks < CLICKS ->
       clicks++; expected = epoch
     }
  /* … and insert the request, some time later, unless somebody's is there. */
  :: atomic {
       expected > 0 && !mine ->
       if
#ifdef M_LAST_WINS               /* no unique key: the later request replaces the earlier one */
       :: true ->
#else
       :: request[expected] != 0 -> expected = 0      /* «already in progress» */
       :: else ->
#endif
          assert(promised[expected] == 0);            /* CTL-12: one operation */
          promised[expected] = me; request[expected] = me; mine = true
       fi
     }
  :: atomic { mine && message[expected] == 0 -> message[expected] = me }      /* wake the holder */

  /* The holder learns of it by polling, or when some message wakes it. */
#ifndef M_UNKEYED
  :: atomic {
       mode[me] == ACTIVE && request[acts_under[me]] != 0 ->
       whom = request[acts_under[me]]; mode[me] = DRAINING
     }
#else                            /* it believes the message, whatever epoch it is of */
  :: atomic {
       mode[me] == ACTIVE ->
       if
       :: message[1] != 0 && message[1] != me -> e = 1
       :: message[2] != 0 && message[2] != me -> e = 2
       fi;
       whom = message[e]; e = 0; mode[me] = DRAINING
     }
#endif
  /* Drained: transfer in one compare-and-set, and stand by whether it matched or not. */
  :: atomic {
#ifdef M_WAIT_FOR_READY          /* it waits until the other one confirms */
       mode[me] == DRAINING && (!dead[whom] || epoch != acts_under[me]) ->
#else
       mode[me] == DRAINING ->
#endif
       if
       :: epoch == acts_under[me] -> hand_over()
       :: else -> skip
       fi;
       mode[me] = STANDBY; acts_under[me] = 0; whom = 0
     }
#ifdef M_RELEASE_FIRST
  :: atomic { mine && holder == 0 && epoch == expected -> new_epoch(me) }
#endif

  /* No answer: forced, in one compare-and-set on the same expected epoch (lease.pml has the bar). */
  :: atomic { mine && epoch == expected && holder != 0 -> new_epoch(me) }
  /* The epoch asked for is over, one way or another. */
  :: atomic { expected > 0 && epoch != expected -> expected = 0; mine = false }

  /* The row names it: it acts. The row names another epoch: it stops. READY is only a message. */
  :: atomic {
       holder == me && mode[me] == STANDBY ->
       assert(owner[epoch] == me || epoch == 1);
       acts_under[me] = epoch; mode[me] = ACTIVE
     }
  :: atomic {
       mode[me] != STANDBY && acts_under[me] != epoch ->
       mode[me] = STANDBY; acts_under[me] = 0; whom = 0
     }
  /* CTL-5: a dead holder's lease runs out, and whoever lives takes it. */
  :: atomic { holder != 0 && dead[holder] -> new_epoch(me) }

  :: atomic { deaths < DEATHS -> deaths++; dead[me] = true; mode[me] = STANDBY; acts_under[me] = 0; break }
  od
}

/* CTL-11: between one holder and the next there is always one. */
proctype NoVacancy() { do :: assert(holder != 0) od }

/* Time goes on when everybody waits, so that a wedge is an endless run and not an end. */
proctype Time() { bit tick; do :: tick = 1 - tick od }

#ifdef REACH
proctype Witness() { atomic { REACH -> assert(false) } }
#endif

init {
  atomic {
    owner[1] = 1;
    run Instance(1); run Instance(2); run Instance(3); run NoVacancy(); run Time();
#ifdef REACH
    run Witness()
#endif
  }
}

/* Whoever died halfway: at last somebody alive acts under the current epoch, and goes on doing so. */
ltl settles { <> [] (holder != 0 && !dead[holder] && mode[holder] == ACTIVE && acts_under[holder] == epoch) }
