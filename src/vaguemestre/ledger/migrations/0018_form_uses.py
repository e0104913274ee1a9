import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0017_invoice_recipients'),
    ]

    operations = [
        migrations.CreateModel(
            name='FormUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bucket', models.TextField()),
                ('at', models.DateTimeField()),
                ('form', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='ledger.form')),
            ],
            options={
                'indexes': [models.Index(fields=['form', 'bucket', 'at'], name='form_use_recent')],
            },
        ),
        # What it counted is over within a day.
        migrations.DeleteModel(
            name='FormCount',
        ),
    ]
