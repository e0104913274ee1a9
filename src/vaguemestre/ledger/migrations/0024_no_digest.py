from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0023_quick_checks'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='message',
            name='sha256',
        ),
    ]
