/* One signal, one order intent, two nodes, one broker.          Requirements ORD-3, ORD-4, ORD-5, ORD-7.
 *
 * Anything may happen between any two steps: a takeover, a crash, a pause of any length; a request
 * may be lost, delayed and overtaken. NOTHING is assumed about leases or timing, so what holds here
 * holds when the lease is wrong. One assumption remains for class B, as the broker declares it: an
 * order that it accepts is visible after LAG ticks of the broker's own clock.
 *
 * CLASS  1 = A: the client id is unique for ever.
 *        2 = B: requests expire; an id may be used again after a fill.
 *        3 = C: no idempotency at all: every request that arrives is an order.
 *
 * SENDING stands for SENDING and IN_DOUBT: the same rules hold for both; a sender that hears
 * nothing (LOST) merely stops waiting.
 */
#ifndef CLASS
#define CLASS 1
#endif
#ifndef EPOCHS
#define EPOCHS 3          /* takeovers until the model ends */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 3        /* at most 3: see some_request */
#endif
#define WINDOW 1          /* class B: a request is accepted for so many ticks after its signature */
#define LAG    1          /* class B: accepted → visible */
#ifndef TICKS
#define TICKS  6          /* enough for a second attempt, and to find it absent as well */
#endif

/* Protections. Each mutant takes one of them away. */
#ifdef M_NO_FENCE         /* the claim does not look at the epoch: it holds all the same */
#define FENCE true
#else
#define FENCE (epoch == my)
#endif
#ifdef M_NO_WAIT          /* absent is believed at once */
#define CONCLUSIVE (CLASS == 2)
#endif
#ifdef M_NO_LAG           /* absent is believed when the request has expired */
#define CONCLUSIVE (CLASS == 2 && venue_time > expires)
#endif
#ifdef M_TTL_RERUN        /* a claim that is too old is run again */
#define CONCLUSIVE true
#endif
#ifndef CONCLUSIVE
#define CONCLUSIVE (CLASS == 2 && venue_time > expires + LAG)
#endif
#ifdef M_DENIED_RESEND    /* the «no» to a resend is taken for a «no» to the order */
#define DENIAL_COUNTS true
#else
#define DENIAL_COUNTS (CLASS != 1 || attempt == 1)
#endif
#ifdef M_HASTY_PERSON     /* a person says «not placed» while a request may still arrive */
#define PERSON_WAITED true
#else
#define PERSON_WAITED (!may_arrive(1) && !may_arrive(2) && !may_arrive(3))
#endif

#ifdef DOUBLES            /* ask for doubled orders only, past broken promises on the way to them */
#define promise(it) skip
#else
#define promise(it) assert(it)
#endif

/* The authority: what PostgreSQL holds. Each atomic block on these is one transaction. */
mtype = { UNDECIDED, NEW, SENDING, ACKED, REJECTED, EXPIRED, QUARANTINED, NOT_PLACED };
mtype state = UNDECIDED;
byte epoch = 0;
byte attempt = 0;         /* the number of the latest claim */
byte expires = 0;         /* until when the broker accepts it, as committed with the claim */
bool late = false;        /* valid_until has passed */
#ifdef M_CHECK_TWICE
byte holder = 0;
#endif

/* The life of each attempt's request; the network is a set, so it reorders by itself. */
mtype = { NONE, HELD, ON_WIRE, ACCEPTED, PLACED, REFUSED, GONE };
mtype request[4] = NONE;  /* 1..3 */
byte signed_until[4];     /* class B: what the sent bytes say */
#define may_arrive(n) (request[n] == HELD || request[n] == ON_WIRE || request[n] == ACCEPTED)

/* The broker. */
byte venue_time = 0;             /* its clock */
byte due[4];              /* class B: when an accepted order is visible at the latest */
#define is_due(n) (request[n] == ACCEPTED && due[n] == venue_time)
byte executed = 0;

inline some_request(stage) {
  if
  :: request[1] == stage -> n = 1
  :: request[2] == stage -> n = 2
  :: request[3] == stage -> n = 3
  fi
}

inline execute() {
  if
  :: CLASS == 1 && executed > 0 -> skip                 /* «duplicate»: it is placed */
  :: else ->
     executed++;
     assert(executed <= 1);                             /* I3: no order twice */
     promise(state == SENDING || state == QUARANTINED); /* I5: never after «it is not there» */
  fi;
  request[n] = PLACED
}

/* The network and the broker. */
proctype Broker() {
  byte n;
  do
  :: atomic { some_request(ON_WIRE); request[n] = GONE; n = 0 }     /* lost */
  :: atomic { some_request(ON_WIRE); request[n] = REFUSED; n = 0 }  /* a definite no to this request */
#if CLASS == 2
  :: atomic {
       some_request(ON_WIRE);
       if
       :: venue_time > signed_until[n] -> request[n] = REFUSED
       :: else -> request[n] = ACCEPTED; due[n] = venue_time + LAG
       fi;
       n = 0
     }
  :: atomic { some_request(ACCEPTED); execute(); due[n] = 0; n = 0 }
  :: venue_time < TICKS && !is_due(1) && !is_due(2) && !is_due(3) -> venue_time++
#else
  :: atomic { some_request(ON_WIRE); execute(); n = 0 }
#endif
  od
}

/* valid_until passes at some time or never. */
proctype Age() { late = true }

/* Whoever looks at the screen. ORD-7: the verdict is final; «place again» is another intent. */
proctype Person() {
  do
  :: atomic { state == QUARANTINED && executed > 0 -> state = ACKED }
  :: atomic { state == QUARANTINED && executed == 0 && PERSON_WAITED -> state = NOT_PLACED }
  od
}

inline claim() {
  attempt++; state = SENDING; held = attempt; request[held] = HELD;
#if CLASS == 2
  expires = venue_time + WINDOW; signed_until[held] = expires
#endif
}

/* A node: it may believe that it leads (my), hold a claimed request that it has not sent (held),
 * wait for an answer (asked), and have looked up an attempt without having written so (looked). */
proctype Node(byte me) {
  byte my = 0, held = 0, asked = 0, looked = 0;
  bool found = false;
  do
  /* A takeover, at any time and for no reason. */
  :: atomic {
       epoch < EPOCHS -> epoch++; my = epoch
#ifdef M_CHECK_TWICE
       ; holder = me
#endif
     }

  /* ORD-2: decide, fenced. */
  :: atomic { my > 0 && epoch == my && state == UNDECIDED -> state = NEW }

  /* ORD-3: claim. The request is signed before; only who wins the compare-and-set sends. */
#ifndef M_CHECK_TWICE
  :: atomic { my > 0 && FENCE && state == NEW && late -> state = EXPIRED }
  :: atomic { my > 0 && FENCE && state == NEW && !late && held == 0 && attempt < ATTEMPTS -> claim() }
#else
  :: (my > 0 && holder == me && state == NEW && held == 0 && attempt < ATTEMPTS) ->
     if
     :: holder == me ->                                 /* still the leader; then a pause, and: */
        if
        :: atomic { attempt < ATTEMPTS -> claim() }
        :: else -> skip
        fi
     :: else -> skip
     fi
#endif

  /* I4: these bytes, once, some time after the commit; or never, because send_by had passed. */
  :: atomic {
       held > 0 && asked == 0 ->
       assert(request[held] == HELD);
#ifdef M_SIGN_AT_SEND
       signed_until[held] = venue_time + WINDOW;
#endif
       request[held] = ON_WIRE; asked = held; held = 0
     }
  :: atomic {
       held > 0 -> request[held] = GONE;
       if
       :: state == SENDING && attempt == held && DENIAL_COUNTS -> state = NEW
       :: else -> skip
       fi;
       held = 0
     }

  /* ORD-4: the answer is written from any node at any epoch, unfenced. */
  :: atomic {
       asked > 0 && request[asked] == PLACED ->
       promise(state == SENDING || state == QUARANTINED || state == ACKED);
       state = ACKED; asked = 0
     }
  :: atomic {
       asked > 0 && request[asked] == REFUSED ->
       if
       :: attempt == asked && DENIAL_COUNTS && state == SENDING -> state = NEW
       :: attempt == asked && DENIAL_COUNTS && (state == SENDING || state == QUARANTINED) ->
          state = REJECTED
       :: else -> skip
       fi;
       asked = 0
     }
  :: atomic { asked > 0 -> asked = 0 }                  /* LOST */

  /* ORD-7: look up what is in doubt, on this node or another one; write the answer later. */
  :: atomic {
       my > 0 && (state == SENDING || state == QUARANTINED) && looked == 0 &&
       (executed > 0 || CLASS != 2 || CONCLUSIVE) ->
       looked = attempt; found = (executed > 0)
     }
  :: atomic {
       looked > 0 ->
       if
       :: found -> state = ACKED
       :: !found && attempt == looked && state == SENDING && CONCLUSIVE -> state = NEW
#if CLASS == 1
#ifdef M_EXPIRE_IN_DOUBT
       :: !found && attempt == looked && state == SENDING && late -> state = EXPIRED
#endif
       :: !found && attempt == looked && state == SENDING && FENCE && !late && held == 0 &&
          attempt < ATTEMPTS -> claim()                 /* the same id again, while it is fresh */
#endif
#if CLASS != 2
       :: !found && attempt == looked && state == SENDING && (CLASS == 3 || late) ->
          state = QUARANTINED
#endif
       :: !found -> skip                                /* tells nothing (any more) */
       fi;
       looked = 0; found = false
     }

  /* A crash, and a restart that remembers nothing. */
  :: atomic {
       my > 0 || held > 0 || asked > 0 ->
       if
       :: held > 0 -> request[held] = GONE
       :: else -> skip
       fi;
       my = 0; held = 0; asked = 0; looked = 0; found = false
     }
  od
}

/* Not a protection but a question to the model itself: is this reachable at all? (expected: yes) */
#ifdef REACH
proctype Witness() { atomic { REACH -> assert(false) } }
#endif

init {
  atomic {
    run Broker(); run Age(); run Person(); run Node(1); run Node(2);
#ifdef REACH
    run Witness()
#endif
  }
}
