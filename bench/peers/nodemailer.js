// Sends what standard input tells, {port, sender, messages: [{recipient, raw}]}, over one kept connection.
"use strict";

const nodemailer = require("nodemailer");

async function main() {
  const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const transport = nodemailer.createTransport({
    host: "127.0.0.1",
    port: told.port,
    name: "client.example.org",
    ignoreTLS: true,
    pool: true,
    maxConnections: 1,
    maxMessages: Infinity,
  });
  await Promise.all(
    told.messages.map(({ recipient, raw }) =>
      transport.sendMail({ envelope: { from: told.sender, to: [recipient] }, raw })
    )
  );
  transport.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
