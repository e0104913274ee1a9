from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0016_explanations'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(fields=['recipient_key', 'id'], name='invoice_recipient'),
        ),
    ]
