/** Whether the tests are to run at full volume: all seeds, all bytes, a thousand runs of each property. Minutes instead of moments. */
export const isComplete = process.env.HOLDFAST_CI === '1'
