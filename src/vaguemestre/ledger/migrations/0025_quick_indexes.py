from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0024_no_digest'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='delivery',
            name='delivery_routes',
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='delivery_due',
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'queued'), ('state', 'in_doubt'), _connector='OR'), fields=['connection', 'rank', 'next_attempt_at', 'id'], name='delivery_due'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'queued'), ('state', 'held'), ('state', 'in_doubt'), _connector='OR'), fields=['route_epoch'], name='delivery_routes'),
        ),
    ]
