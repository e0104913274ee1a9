// A plugin for the bench: whoever connects may relay, and every domain's next hop is a port of this machine.
exports.register = function () {
    this.register_hook('connect', 'trust');
    this.register_hook('rcpt', 'take');
    this.register_hook('get_mx', 'send_on');
};

exports.trust = function (next, connection) {
    connection.relaying = true;
    next();
};

exports.take = function (next) {
    next(OK);
};

exports.send_on = function (next) {
    next(OK, { priority: 0, exchange: '127.0.0.1', port: Number(process.env.BENCH_NEXT_HOP) });
};
