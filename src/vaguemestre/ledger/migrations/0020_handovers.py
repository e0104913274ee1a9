from django.db import migrations, models

INDEX = "handover_digest_once"


def find_by_digest(apps, schema_editor):
    """On SQLite each process recollects the digests: see `handovers`."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"CREATE UNIQUE INDEX {INDEX} ON ledger_handover (digest)")


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0019_password_asks'),
    ]

    operations = [
        migrations.AlterField(
            model_name='handover',
            name='digest',
            field=models.BinaryField(),
        ),
        migrations.AlterField(
            model_name='handover',
            name='at',
            field=models.DateTimeField(),
        ),
        migrations.RunPython(find_by_digest, migrations.RunPython.noop),
    ]
