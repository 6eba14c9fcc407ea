/** What reclaim of a memory control group remembers from one time to the next. */
export class GroupHistory {
  /** What looking at each kind has cost lately; the dearer kind is looked at less. @kernel lru_note_cost */
  anonCost = 0;
  fileCost = 0;
  /** What the split shrinker was owed and has not done. @kernel xchg_nr_deferred */
  owedSplits = 0;
}
