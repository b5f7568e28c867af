/** The nouns of the API under the names that the console uses; `schema.d.ts` is generated. */

import type { components } from "./schema.d.ts";

type Schemas = components["schemas"];

export type Agent = Schemas["AgentOut"];
export type Command = Schemas["CommandOut"];
export type Home = Schemas["HomeOut"];
export type JoinToken = Schemas["JoinTokenCreated"];
export type Me = Schemas["Me"];
export type NewSession = Schemas["NewSession"];
export type Scope = Schemas["Scope"];
export type Session = Schemas["SessionOut"];
export type SessionEvent = Schemas["SessionEventOut"];
export type Status = Schemas["Status"];
export type Template = Schemas["TemplateOut"];
export type Ticket = Schemas["TicketOut"];
export type Token = Schemas["TokenOut"];
export type TokenCreated = Schemas["TokenCreated"];
