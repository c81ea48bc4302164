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
   * @param run does work worth at most `budget`, and returns how much it was
   * @param budgetOfTurn called once at the start of each turn
   */
  constructor(run: (participant: Participant, budget: number) => number, budgetOfTurn: () => number) {
    this.#run = run;
    this.#budgetOfTurn = budgetOfTurn;
  }

  /** Runs the participant once in a later turn, however often it was added. */
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
 * The number of producers that resume in each turn of the event loop. When all resumed together, 50 generators that never
 * really wait made turns of 30 ms, and a new client needs at least three turns: Node accepts one connection a turn, then
 * follow its request and its first event (measured beside those 50: 350 ms to a first event when all resume, 3 ms with two,
 * at the same cost for each event).
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
