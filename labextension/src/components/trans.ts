/** The translation that every component reads. */

import { nullTranslator } from '@jupyterlab/translation';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

export const TransContext = React.createContext<TranslationBundle>(nullTranslator.load('dotscience'));

export function useTrans(): TranslationBundle {
  return React.useContext(TransContext);
}
