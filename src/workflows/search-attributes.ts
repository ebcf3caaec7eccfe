import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { upsertSearchAttributes } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../domain/names.js';

export type AttributeName = keyof typeof SEARCH_ATTRIBUTES;

export function attribute(name: AttributeName, value: string): SearchAttributePair {
  return { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES[name], 'KEYWORD'), value };
}

/** Sets one attribute where the server knows ours. */
export function setAttribute(known: boolean, name: AttributeName, value: string): void {
  if (known) upsertSearchAttributes([attribute(name, value)]);
}
