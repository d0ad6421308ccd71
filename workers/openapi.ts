// The OpenAPI 3.1 document, from the same schemas that check the requests.
import * as z from 'zod';
import type {EntityType} from '../schema/entity-type.ts';
import {PolicyDocument, VersionedPolicy} from '../schema/policy.ts';
import {PROBLEMS} from '../schema/problem.ts';
import {IdempotencyKey, PAGE_ITEMS_MAX, ReplicaRequest, WAIT_MS_MAX} from '../schema/requests.ts';
import {TenantDocument} from './routes/tenants.ts';

type Json = Readonly<Record<string, unknown>>;

const schemaOf = (schema: z.ZodType): Json => {
  const {$schema: _, ...rest} = z.toJSONSchema(schema, {io: 'input', unrepresentable: 'any'}) as Json & {
    $schema?: string;
  };
  return rest;
};

const content = (schema: Json): Json => ({content: {'application/json': {schema}}});
const inPath = (name: string): Json => ({name, in: 'path', required: true, schema: {type: 'string'}});
const inQuery = (name: string, schema: Json): Json => ({name, in: 'query', schema});
const inHeader = (name: string, schema: Json): Json => ({name, in: 'header', schema});

const TENANT = inPath('tenant');
const REGION = inHeader('Sangam-Region', {type: 'string'});
const MIN_VERSION = inHeader('Sangam-Min-Version', {type: 'string'});
const WAIT = inQuery('wait', {type: 'integer', minimum: 0, maximum: WAIT_MS_MAX, description: 'milliseconds'});
const CONSISTENCY = inHeader('Sangam-Consistency', {
  type: 'string',
  pattern: '^(local|session|home|regions:[1-9][0-9]?)$',
});
const KEY = inHeader('Idempotency-Key', schemaOf(IdempotencyKey));
const problems: Json = {$ref: '#/components/responses/problem'};

const operation = (summary: string, parameters: readonly Json[], ok: Json, requestBody?: Json): Json => ({
  summary,
  parameters,
  ...(requestBody && {requestBody: {required: true, ...requestBody}}),
  responses: {'200': {description: 'done', ...ok}, default: problems},
});

function entityPaths(type: EntityType): Json {
  const path = `/v1/{tenant}/${type.name}`;
  const at = [TENANT, inPath('id'), REGION];
  const view = {
    type: 'object',
    properties: Object.fromEntries(Object.entries(type.fields).map(([name, field]) => [name, schemaOf(field.shape)])),
  };
  const members = {
    type: {const: type.name},
    id: {type: 'string'},
    region: {type: 'string'},
    version: {type: 'string', description: 'send it as Sangam-Min-Version to read what this request saw'},
    entity: view,
  };
  const entity = content({type: 'object', properties: members});
  const done = content({
    type: 'object',
    properties: {
      ...members,
      dot: {type: 'string', description: 'the event that this left; absent when nothing changed'},
      duplicate: {
        type: 'boolean',
        description: 'whether the Idempotency-Key was known, so that nothing was done again',
      },
    },
  });
  const edits = {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(Object.entries(type.fields).map(([name, field]) => [name, schemaOf(field.patch)])),
  };
  const commands = Object.entries(type.commands).map(([name, {input}]) => [
    `${path}/{id}/commands/${name}`,
    {
      post: operation(
        `${name} on one ${type.name}`,
        [...at, KEY, WAIT, MIN_VERSION, CONSISTENCY],
        done,
        content(schemaOf(input)),
      ),
    },
  ]);
  const list = [TENANT, REGION, inQuery('prefix', {type: 'string'}), inQuery('cursor', {type: 'string'})];
  const limit = inQuery('limit', {type: 'integer', minimum: 1, maximum: PAGE_ITEMS_MAX});
  return {
    [path]: {get: operation(`${type.name} entities, by id`, [...list, limit], content({type: 'object'}))},
    [`${path}/{id}`]: {
      get: operation(
        `one ${type.name}`,
        [...at, MIN_VERSION, WAIT, CONSISTENCY, inHeader('If-None-Match', {type: 'string'})],
        entity,
      ),
      patch: operation(
        `edit fields of one ${type.name}`,
        [...at, KEY, WAIT, MIN_VERSION, CONSISTENCY],
        done,
        content(edits),
      ),
    },
    [`${path}/{id}/log`]: {
      get: operation(
        "the log of this region's replica, in its order",
        [...at, inQuery('after', {type: 'integer'}), limit],
        content({type: 'object'}),
      ),
    },
    [`${path}/{id}/replicas`]: {
      get: operation('replicas, vectors, backlog, load', at, content({type: 'object'})),
      post: operation(
        'have a replica in a region, or move one there (admin)',
        at,
        content({type: 'object'}),
        content(schemaOf(ReplicaRequest)),
      ),
    },
    [`${path}/{id}/replicas/{region}`]: {
      delete: operation(
        'retire a replica; or give up one that does not answer (admin)',
        [
          ...at,
          inPath('region'),
          WAIT,
          inQuery('heir', {type: 'string', description: 'region that gets its rights'}),
          inQuery('silent', {type: 'boolean', description: 'it does not answer: go on without it'}),
          inQuery('lost', {type: 'boolean', description: 'its storage is gone for good'}),
        ],
        content({type: 'object'}),
      ),
    },
    [`${path}/{id}/sync`]: {
      get: {
        summary: 'WebSocket: every change as JSON, commands as JSON; subprotocols sangam.v1, bearer.<token>',
        parameters: at,
        responses: {'101': {description: 'switching to WebSocket'}, default: problems},
      },
    },
    ...Object.fromEntries(commands),
  };
}

export function openApi(types: ReadonlyMap<string, EntityType>): Json {
  const policy = content(
    schemaOf(
      VersionedPolicy.extend({
        concurrent: z.array(VersionedPolicy).optional().describe('written elsewhere at the same time; all apply'),
      }),
    ),
  );
  const named = content({type: 'object', properties: {tenant: {type: 'string'}}});
  const put = operation(
    'create a tenant, or replace its keys (operators)',
    [TENANT, REGION],
    named,
    content(schemaOf(TenantDocument)),
  );
  return {
    openapi: '3.1.0',
    info: {title: 'Sangam', version: '1', description: 'Replicated entities at the edge.'},
    security: [{bearer: []}],
    paths: {
      '/healthz': {get: {...operation('whether the platform is ready', [], content({type: 'object'})), security: []}},
      '/openapi.json': {get: {...operation('this document', [], content({type: 'object'})), security: []}},
      '/v1/{tenant}': {
        put: {...put, responses: {'201': {description: 'created', ...named}, ...(put.responses as Json)}},
      },
      '/v1/{tenant}/policy': {
        get: operation('the residency policy', [TENANT, REGION], policy),
        put: operation(
          'replace the residency policy',
          [TENANT, REGION, inHeader('If-Match', {type: 'string'})],
          policy,
          content(schemaOf(PolicyDocument)),
        ),
      },
      ...Object.assign({}, ...[...types.values()].map(entityPaths)),
    },
    components: {
      securitySchemes: {bearer: {type: 'http', scheme: 'bearer', bearerFormat: 'JWT'}},
      responses: {
        problem: {
          description: 'RFC 9457 problem document',
          content: {'application/problem+json': {schema: {$ref: '#/components/schemas/Problem'}}},
        },
      },
      schemas: {
        Problem: {
          type: 'object',
          required: ['type', 'title', 'status', 'code', 'detail'],
          properties: {
            type: {type: 'string'},
            title: {type: 'string'},
            status: {type: 'integer'},
            code: {enum: Object.keys(PROBLEMS)},
            detail: {type: 'string'},
          },
        },
      },
    },
  };
}
