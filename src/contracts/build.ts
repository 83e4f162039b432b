/** Name of Holdfast's workers as a Worker Deployment of Temporal. */
export const DEPLOYMENT = 'holdfast';
