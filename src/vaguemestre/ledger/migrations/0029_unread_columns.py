import sqlite3

from django.db import migrations

import vaguemestre.ledger.history

COLUMNS = {
    'ledger_message': {
        'header_from': 'text NULL',
        'tags': 'text NOT NULL',
        'metadata': 'text NOT NULL',
        'added': 'text NOT NULL',
    },
    'ledger_delivery': {'route': 'text NULL', 'trouble': 'text NULL'},
}


class Redefined(migrations.SeparateDatabaseAndState):
    """On SQLite both tables' definitions lose their checks of JSON, and no row is written.

    By the steps that SQLite gives for this (its page on ALTER TABLE, section 7). To copy both tables, as
    Django does, takes minutes where there are millions of messages.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        redefine(schema_editor, lambda plain, checked: (checked, plain))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        redefine(schema_editor, lambda plain, checked: (checked, plain))  # where they were kept, not twice
        redefine(schema_editor, lambda plain, checked: (plain, checked))


def redefine(schema_editor, change):
    if schema_editor.connection.vendor == 'postgresql':
        return  # it keeps them as jsonb either way
    if schema_editor.connection.connection.getconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE):
        return  # this SQLite forbids it: its checks stay, and cost time alone
    with schema_editor.connection.cursor() as cursor:
        (version,) = cursor.execute('PRAGMA schema_version').fetchone()
        cursor.execute('PRAGMA writable_schema = ON')
        try:
            for table, columns in COLUMNS.items():
                for name, kind in columns.items():
                    plain = f'"{name}" {kind}'
                    checked = f'{plain} CHECK ((JSON_VALID("{name}") OR "{name}" IS NULL))'
                    cursor.execute(
                        "UPDATE sqlite_master SET sql = replace(sql, %s, %s) WHERE type = 'table' AND name = %s",
                        [*change(plain, checked), table],
                    )
            # Every connection reads the definitions anew, this one as well.
            cursor.execute(f'PRAGMA schema_version = {version + 1}')
        finally:
            cursor.execute('PRAGMA writable_schema = OFF')


OPERATIONS = [
    migrations.AlterField(
        model_name='delivery',
        name='route',
        field=vaguemestre.ledger.history.Written(null=True),
    ),
    migrations.AlterField(
        model_name='delivery',
        name='trouble',
        field=vaguemestre.ledger.history.Written(null=True),
    ),
    migrations.AlterField(
        model_name='message',
        name='added',
        field=vaguemestre.ledger.history.Written(default=dict),
    ),
    migrations.AlterField(
        model_name='message',
        name='header_from',
        field=vaguemestre.ledger.history.Written(null=True),
    ),
    migrations.AlterField(
        model_name='message',
        name='metadata',
        field=vaguemestre.ledger.history.Written(default=dict),
    ),
    migrations.AlterField(
        model_name='message',
        name='tags',
        field=vaguemestre.ledger.history.Written(default=list),
    ),
]


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0028_delay_notices'),
    ]

    operations = [Redefined(state_operations=OPERATIONS)]
