from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0021_told_once'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='message',
            name='message_recent',
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['accepted_at'], name='message_recent'),
        ),
    ]
