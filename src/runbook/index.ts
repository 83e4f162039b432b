export { defineRunbook } from './define.ts';
export { remedy, type Checked, type Judgement, type Run } from './run.ts';
export { rollBackTo } from './remedies.ts';
export { delivery, diagnostic, mitigation, projection } from './activity-options.ts';
export * from './judgements.ts';
export { incidentId, kebab, runbookCatalogue, type CatalogueEntry } from './catalogue.ts';
