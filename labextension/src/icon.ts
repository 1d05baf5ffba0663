import { LabIcon } from '@jupyterlab/ui-components';

/** A trunk, and a branch off it: runs grow from commits. */
const svgstr = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M4.3 5.6h1.4v4.8H4.3z"/>
    <path d="M5.7 10.2C5.4 7.4 10 8 10.2 6h1.5c-.2 3.3-4.7 2.3-4.6 4.6z"/>
    <circle cx="5" cy="3.6" r="2.1"/><circle cx="5" cy="12.4" r="2.1"/><circle cx="11" cy="4.6" r="2.1"/>
  </g>
</svg>`;

export const dotscienceIcon = new LabIcon({ name: 'dotscience:logo', svgstr });
