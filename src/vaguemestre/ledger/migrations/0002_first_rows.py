"""The instance row and the six streams that exist from the start."""

from django.db import migrations

STREAMS = {
    "notifications": ("Notifications", "retry"),
    "form-replies": ("Form replies", "retry"),
    "invoices": ("Invoices", "hold"),
    "reports": ("Reports", "retry"),
    "marketing": ("Marketing", "retry"),
    "support": ("Support", "retry"),
}


def fill(apps, schema_editor):
    apps.get_model("ledger", "Instance").objects.get_or_create(id=1)
    stream = apps.get_model("ledger", "Stream")
    for key, (name, on_doubt) in STREAMS.items():
        stream.objects.get_or_create(key=key, defaults={"name": name, "on_doubt": on_doubt, "built_in": True})


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
