from django.db import migrations, models


class Rewritten(migrations.SeparateDatabaseAndState):
    """The same conditions without IN. On SQLite each table is copied once instead of twice for each of them."""

    def __init__(self, operations):
        super().__init__(operations, operations)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        for name in ("Message", "Delivery"):
            model = to_state.apps.get_model(app_label, name)
            # A number used once is not used again: the copy would begin behind the rows that are left.
            used = _numbers_used(schema_editor, model)
            schema_editor._remake_table(model)
            schema_editor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
            schema_editor.execute("INSERT INTO sqlite_sequence VALUES (%s, %s)", [model._meta.db_table, used])


def _numbers_used(schema_editor, model):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT MAX(seq) FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
        return cursor.fetchone()[0] or 0


OPERATIONS = [
    migrations.RemoveConstraint(
        model_name='delivery',
        name='delivery_state',
    ),
    migrations.RemoveConstraint(
        model_name='delivery',
        name='delivery_doubt_stays',
    ),
    migrations.RemoveConstraint(
        model_name='delivery',
        name='delivery_settled',
    ),
    migrations.RemoveConstraint(
        model_name='message',
        name='message_on_doubt',
    ),
    migrations.AddConstraint(
        model_name='delivery',
        constraint=models.CheckConstraint(condition=models.Q(('state', 'queued'), ('state', 'claimed'), ('state', 'held'), ('state', 'in_doubt'), ('state', 'accepted'), ('state', 'refused'), ('state', 'expired'), ('state', 'cancelled'), _connector='OR'), name='delivery_state'),
    ),
    migrations.AddConstraint(
        model_name='delivery',
        constraint=models.CheckConstraint(condition=models.Q(('doubts', 0), models.Q(('state', 'queued'), ('state', 'held'), ('state', 'refused'), ('state', 'expired'), _connector='OR', _negated=True), _connector='OR'), name='delivery_doubt_stays'),
    ),
    migrations.AddConstraint(
        model_name='delivery',
        constraint=models.CheckConstraint(condition=models.Q(models.Q(('settled_at', None), models.Q(('state', 'accepted'), ('state', 'refused'), ('state', 'expired'), ('state', 'cancelled'), _connector='OR', _negated=True)), models.Q(('settled_at__isnull', False), models.Q(('state', 'accepted'), ('state', 'refused'), ('state', 'expired'), ('state', 'cancelled'), _connector='OR')), _connector='OR'), name='delivery_settled'),
    ),
    migrations.AddConstraint(
        model_name='message',
        constraint=models.CheckConstraint(condition=models.Q(('on_doubt', ''), ('on_doubt', 'retry'), ('on_doubt', 'hold'), _connector='OR'), name='message_on_doubt'),
    ),
]


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0022_rising'),
    ]

    operations = [Rewritten(OPERATIONS)]
