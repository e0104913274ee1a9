from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0018_form_uses'),
    ]

    operations = [
        migrations.CreateModel(
            name='PasswordAsk',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.TextField()),
                ('at', models.DateTimeField()),
            ],
        ),
    ]
