import hashlib
import json

import django.db.models.deletion
from django.db import migrations, models

PIECE = 2_000  # deliveries of one statement
INDEXED = [
    ("Chunk", "message"), ("Delivery", "message"), ("Message", "submitter"), ("Message", "stream"),
    ("Message", "explicit"), ("Message", "resent_from"),
]  # fmt: skip


def share(apps, schema_editor):
    """Keep once what deliveries had each for itself."""
    delivery, explanation = (apps.get_model("ledger", name) for name in ("Delivery", "Explanation"))
    known, last = {}, None
    while True:
        behind = delivery.objects if last is None else delivery.objects.filter(pk__gt=last)
        piece = list(behind.order_by("pk").values_list("pk", "reason", "rules")[:PIECE])
        if not piece:
            return
        last = piece[-1][0]
        moved = [(_kept(explanation, known, *columns), key) for key, *columns in piece]
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany("UPDATE ledger_delivery SET explanation_id = %s WHERE id = %s", moved)


def _kept(explanation, known, reason, rules):
    texts = tuple(json.dumps(value, sort_keys=True) for value in (reason, rules))
    if texts not in known:
        digest = hashlib.sha256("\n".join(texts).encode()).digest()
        # Of no epoch: it is swept as soon as no delivery has it.
        known[texts] = explanation.objects.create(digest=digest, reason=reason, rules=rules, epoch=0).pk
    return known[texts]


def uncover(apps, schema_editor):
    """Drop indexes that a unique one covers, or that most rows have nothing for; no table is copied for it."""
    for name, field in INDEXED:
        model = apps.get_model("ledger", name)
        found = schema_editor._constraint_names(
            model,
            [model._meta.get_field(field).column],
            index=True,
            unique=False,
            exclude={index.name for index in model._meta.indexes},
        )
        for index in found:
            schema_editor.execute(schema_editor._delete_index_sql(model, index))


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0015_told'),
    ]

    operations = [
        migrations.CreateModel(
            name='Explanation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.BinaryField(unique=True)),
                ('reason', models.JSONField()),
                ('rules', models.JSONField(default=list)),
                ('epoch', models.BigIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name='delivery',
            name='explanation',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='ledger.explanation'),
        ),
        migrations.RunPython(share, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='delivery',
            name='reason',
        ),
        migrations.RemoveField(
            model_name='delivery',
            name='rules',
        ),
        migrations.AlterField(
            model_name='delivery',
            name='explanation',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='ledger.explanation'),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(uncover, migrations.RunPython.noop)],
            state_operations=[
                migrations.AlterField(
                    model_name='chunk',
                    name='message',
                    field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='ledger.message'),
                ),
                migrations.AlterField(
                    model_name='delivery',
                    name='message',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='ledger.message'),
                ),
                migrations.AlterField(
                    model_name='message',
                    name='explicit',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.connection'),
                ),
                migrations.AlterField(
                    model_name='message',
                    name='resent_from',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='ledger.message'),
                ),
                migrations.AlterField(
                    model_name='message',
                    name='stream',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='ledger.stream'),
                ),
                migrations.AlterField(
                    model_name='message',
                    name='submitter',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='ledger.apikey'),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('submitter__isnull', False)), fields=['submitter'], name='message_submitter'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('stream__isnull', False)), fields=['stream'], name='message_stream'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('explicit__isnull', False)), fields=['explicit'], name='message_explicit'),
        ),
    ]
