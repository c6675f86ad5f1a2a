// Calls of OpenAI's client for Node, each told as what came of it: one JSON object, by the name of the call.

import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.GATEWAY, apiKey: process.env.KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello there, who are you?" }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
const asked = { model: "small", messages };

const calls = {
  chat: async () => {
    const answer = await client.chat.completions.create({ ...asked, x_vendor: { b: 1, a: "ü 😀" } });
    return { text: answer.choices[0].message.content, usage: answer.usage, cost: answer._metadata.cost_incurred };
  },
  streamed: async () => {
    const stream = await client.chat.completions.create({ ...asked, stream: true });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { text: textOf(chunks), count: chunks.length, finish: chunks.at(-1).choices[0].finish_reason };
  },
  streamedWithUsage: async () => {
    const stream = await client.chat.completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { text: textOf(chunks), usage: chunks.at(-1).usage };
  },
  tool: async () => {
    const answer = await client.chat.completions.stream({ ...asked, tools }).finalChatCompletion();
    return answer.choices[0].message.tool_calls[0].function;
  },
  embeddings: async () => {
    const answer = await client.embeddings.create({ model: "small", input: ["one", "two"] });
    return answer.data.map((each) => each.embedding.length);
  },
  models: async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return ids;
  },
  response: async () => (await client.responses.create({ model: "small", input: "Hello" })).output_text,
  responseStreamed: async () => {
    const types = [];
    for await (const event of await client.responses.create({ model: "small", input: "Hello", stream: true })) {
      types.push(event.type);
    }
    return [types[0], types.at(-1)];
  },
  unknownModel: () => client.chat.completions.create({ ...asked, model: "gpt-9" }),
  unknownCaller: () => client.withOptions({ apiKey: "mallory" }).chat.completions.create(asked),
  withoutMoney: () => client.withOptions({ apiKey: "poor", maxRetries: 3 }).chat.completions.create(asked),
  brokenStream: async () => {
    const stream = await client.chat.completions.create({
      ...asked,
      stream: true,
      x_fault: { then: "error", after: 3 },
    });
    for await (const _ of stream);
  },
  leftStream: async () => {
    const stream = await client.chat.completions.create({ ...asked, stream: true, x_fault: { then: "hold", after: 2 } });
    for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
    return "left";
  },
};

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

const told = {};
for (const [name, call] of Object.entries(calls)) {
  try {
    told[name] = await call();
  } catch (error) {
    told[name] = { error: error.constructor.name, status: error.status, code: error.code, type: error.type };
  }
}
console.log(JSON.stringify(told));
