from django.db import migrations

import vaguemestre.ledger.history


class Rewritten(migrations.SeparateDatabaseAndState):
    """On SQLite each table is copied, and goes on with its numbers: one that was used is not used again."""

    def __init__(self, operations):
        super().__init__(operations, operations)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._rewrite(app_label, schema_editor, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._rewrite(app_label, schema_editor, to_state)

    def _rewrite(self, app_label, schema_editor, to_state):
        if schema_editor.connection.vendor == "postgresql":
            return  # it keeps them as jsonb either way
        for name in ("Attempt", "Event"):
            model = to_state.apps.get_model(app_label, name)
            table = model._meta.db_table
            with schema_editor.connection.cursor() as cursor:
                cursor.execute("SELECT MAX(seq) FROM sqlite_sequence WHERE name = %s", [table])
                used = cursor.fetchone()[0] or 0
            schema_editor._remake_table(model)
            schema_editor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            schema_editor.execute("INSERT INTO sqlite_sequence VALUES (%s, %s)", [table, used])


OPERATIONS = [
    migrations.AlterField(
        model_name='attempt',
        name='steps',
        field=vaguemestre.ledger.history.Written(),
    ),
    migrations.AlterField(
        model_name='event',
        name='detail',
        field=vaguemestre.ledger.history.Written(default=dict),
    ),
]


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0025_quick_indexes'),
    ]

    operations = [Rewritten(OPERATIONS)]
