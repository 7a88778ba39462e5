// The transformations of a panel, done by Grafana's own transformers.

import { standardTransformers, standardTransformersRegistry, transformDataFrame } from '@grafana/data';
import { lastValueFrom } from 'rxjs';

/** By id: an old name of a transformer stands for the same one. */
const TRANSFORMERS = new Map(Object.values(standardTransformers).map(info => [info.id, info]));
standardTransformersRegistry.setInit(() =>
  [...TRANSFORMERS.values()].map(info => ({ ...info, transformation: () => Promise.resolve(info) })),
);

/** The frames after all transformations; one that is not published is an error, not skipped. */
export async function transformed(transformations, frames) {
  for (const { id } of transformations) {
    if (!standardTransformersRegistry.getIfExists(id)) {
      throw new Error(`transformation ${id} is not among Grafana's published ones`);
    }
  }
  return lastValueFrom(transformDataFrame(transformations, frames));
}
