// The description of the API for programs (/openapi.json) and for people (/docs). The page and all that it loads come
// from here: no other host is asked.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Request, Response } from 'express';
import helmet from 'helmet';
import type { Route } from '../http/route.ts';
import { openApiDocument } from '../openapi/document.ts';

/** Fixed for as long as the gateway runs. */
const CACHE_CONTROL = 'public, max-age=3600';

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Frechet</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/page.js"></script>
</body>
</html>
`;

const SCRIPT = `SwaggerUIBundle({
  url: new URL('openapi.json', document.baseURI).pathname,
  dom_id: '#page',
  deepLinking: true,
  validatorUrl: null,
});
`;

/** The page runs its own scripts and asks its own host, and nothing else; its styles are partly inline. */
const protect = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
  // Whether there is TLS in front is not known here.
  strictTransportSecurity: false,
});

/** @param described the routes that the description is of; its own are added */
export function docsRoutes(described: readonly Route[], version: string): readonly Route[] {
  const description: Route = {
    method: 'GET',
    path: '/openapi.json',
    isOpen: true,
    handle: (_request, response) => {
      response.setHeader('Cache-Control', CACHE_CONTROL);
      response.json(document);
    },
  };
  const document = openApiDocument([...described, description], version);
  return [
    description,
    page('/docs', 'text/html', async () => PAGE),
    page('/docs/page.js', 'text/javascript', async () => SCRIPT),
    page('/docs/swagger-ui.css', 'text/css', () => readFile(SWAGGER_CSS)),
    page('/docs/swagger-ui-bundle.js', 'text/javascript', () => readFile(SWAGGER_SCRIPT)),
  ];
}

const SWAGGER_CSS = fileURLToPath(import.meta.resolve('swagger-ui-dist/swagger-ui.css'));
const SWAGGER_SCRIPT = fileURLToPath(import.meta.resolve('swagger-ui-dist/swagger-ui-bundle.js'));

function page(path: string, type: string, read: () => Promise<Buffer | string>): Route {
  return {
    method: 'GET',
    path,
    isOpen: true,
    async handle(request: Request, response: Response) {
      await new Promise<void>(resolve => protect(request, response, () => resolve()));
      response.setHeader('Cache-Control', CACHE_CONTROL);
      response.type(type).send(await read());
    },
  };
}
