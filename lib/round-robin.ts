import { outsideRequests } from './async-context';

/**
 * Spreads work over turns of the event loop. Each turn has a budget; participants run in the order in which they were
 * added, until the budget is spent. A participant with more work adds itself again, after all others.
 *
 * A turn serves the clients of many requests, so it runs in the context of none of them.
 */
export class RoundRobin<Participant> {
  readonly #run: (participant: Participant, budget: number) => number;
  readonly #budgetOfTurn: () => number;
  readonly #waiting = new Set<Participant>();
  readonly #onTurn = () => this.#turn();
  readonly #schedule = () => {
    setImmediate(this.#onTurn);
  };
  #scheduled = false;

  /**
   * @param run does work that costs at most `budget`, and returns its cost
   * @param budgetOfTurn called once at the start of each turn
   */
  constructor(run: (participant: Participant, budget: number) => number, budgetOfTurn: () => number) {
    this.#run = run;
    this.#budgetOfTurn = budgetOfTurn;
  }

  /** Runs the participant once in a later turn, even if it was added several times. */
  add(participant: Participant): void {
    this.#waiting.add(participant);
    if (this.#scheduled) return;
    this.#scheduled = true;
    outsideRequests(this.#schedule);
  }

  #turn(): void {
    try {
      this.#spendBudget();
    } finally {
      this.#scheduled = this.#waiting.size > 0;
      if (this.#scheduled) this.#schedule();
    }
  }

  #spendBudget(): void {
    let left = this.#budgetOfTurn();
    for (const participant of this.#waiting) {
      this.#waiting.delete(participant);
      left -= this.#run(participant, left);
      if (left <= 0) return;
    }
  }
}

/** A producer that has yielded to the event loop. */
export interface Resumable {
  resume(): void;
}

/**
 * The number of producers that resume in each turn of the event loop. If all resume together, 50 generators that have their
 * values without waiting make turns of 30 ms. A new client needs at least three turns: to accept its connection, to read its
 * request, and to send its first event. Measured with 50 such generators: the first event takes 350 ms if all resume, and
 * 3 ms if two do, at the same cost for each event.
 */
const PER_TURN = 2;

const resuming = new RoundRobin<Resumable>(
  (resumable) => {
    resumable.resume();
    return 1;
  },
  () => PER_TURN,
);

/** Resumes the producer in a later turn of the event loop, so that it does not starve other connections. */
export function yieldToEventLoop(resumable: Resumable): void {
  resuming.add(resumable);
}
