"""What is on disk: project and stack files, state, history, locks, secrets; all as Pulumi's own CLI keeps them.

==============  ===================================================================
``project``     ``Pulumi.yaml``, ``Pulumi.<stack>.yaml``, configuration and its paths
``yamlfile``    YAML as Pulumi reads it, edited without losing comments
``location``    where the state lives and which stack is selected
``codec``       resources and property values as JSON
``state``       the checkpoint of one stack, written atomically
``history``     what was done when, and copies of the state
``locks``       one operation at a time
``secrets``     encryption by passphrase
==============  ===================================================================
"""
