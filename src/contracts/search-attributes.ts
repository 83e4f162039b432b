/** What Temporal must know before the first run: by these the Temporal UI and the command line find runs. */
export const SEARCH_ATTRIBUTES = {
  HoldfastService: 'Keyword',
  HoldfastEnvironment: 'Keyword',
  HoldfastSeverity: 'Keyword',
  HoldfastPhase: 'Keyword',
  HoldfastWaitingFor: 'KeywordList',
} as const;
