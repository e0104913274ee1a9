from django.db import migrations

# What a message writes, a courier's part included.
FIRST = (
    'ledger_message', 'ledger_delivery', 'ledger_event', 'ledger_chunk', 'ledger_handover', 'ledger_attempt',
)


def place(apps, schema_editor):
    """SQLite keeps the last number of each table in one without an index, and reads it from its beginning at
    every insert: so the numbers that each message asks for stand before all others.
    """
    if schema_editor.connection.vendor == 'postgresql':
        return
    with schema_editor.connection.cursor() as cursor:
        for position, name in enumerate(FIRST, -len(FIRST)):
            cursor.execute(
                f'INSERT INTO sqlite_sequence (name, seq) SELECT %s, (SELECT COALESCE(MAX(id), 0) FROM {name})'
                ' WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = %s)',
                [name, name],
            )
            cursor.execute('UPDATE sqlite_sequence SET rowid = %s WHERE name = %s', [position, name])


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0029_unread_columns'),
    ]

    operations = [migrations.RunPython(place, migrations.RunPython.noop)]
