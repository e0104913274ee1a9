"""What a stream does besides naming a connection: priority, Auto-Submitted, unsubscribing; undoing a default."""

import django.db.models.deletion
from django.db import migrations, models

BUILT_IN = {
    "notifications": {"priority": "urgent", "auto_submitted": "auto-generated", "redact": True},
    "form-replies": {"auto_submitted": "auto-replied"},
    "reports": {"priority": "low", "auto_submitted": "auto-generated"},
    "marketing": {"priority": "low", "unsubscribe": True},
}


def fill(apps, schema_editor):
    for key, values in BUILT_IN.items():
        apps.get_model("ledger", "Stream").objects.filter(key=key, built_in=True).update(**values)


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0009_source_addresses_seen'),
    ]

    operations = [
        migrations.CreateModel(
            name='DefaultChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('deactivated', models.BooleanField(default=False)),
                ('actor', models.TextField()),
                ('at', models.DateTimeField()),
                ('undone_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='OptOut',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.TextField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='delivery_due',
        ),
        migrations.AddField(
            model_name='delivery',
            name='rank',
            field=models.SmallIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='message',
            name='added',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='stream',
            name='auto_submitted',
            field=models.TextField(default='no'),
        ),
        migrations.AddField(
            model_name='stream',
            name='priority',
            field=models.TextField(default='normal'),
        ),
        migrations.AddField(
            model_name='stream',
            name='unsubscribe',
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state__in', ['queued', 'in_doubt'])), fields=['connection', 'rank', 'next_attempt_at', 'id'], name='delivery_due'),
        ),
        migrations.AddConstraint(
            model_name='stream',
            constraint=models.CheckConstraint(condition=models.Q(('priority__in', ['urgent', 'normal', 'low'])), name='stream_priority'),
        ),
        migrations.AddConstraint(
            model_name='stream',
            constraint=models.CheckConstraint(condition=models.Q(('auto_submitted__in', ['no', 'auto-generated', 'auto-replied'])), name='stream_automatic'),
        ),
        migrations.AddField(
            model_name='defaultchange',
            name='chosen',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='ledger.connection'),
        ),
        migrations.AddField(
            model_name='defaultchange',
            name='previous',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='ledger.connection'),
        ),
        migrations.AddField(
            model_name='optout',
            name='stream',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='ledger.stream'),
        ),
        migrations.AddConstraint(
            model_name='optout',
            constraint=models.UniqueConstraint(fields=('stream', 'address'), name='opt_out_once'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
