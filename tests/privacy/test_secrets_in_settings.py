"""Secrets in files of settings that write a name and its value apart."""

from __future__ import annotations

import pytest

from cervella.privacy.redaction import find_secrets, mask_secrets

VALUE = "Mario.Rossi85"


@pytest.mark.parametrize(
    "text",
    [
        'env:\n  - name: DB_PASSWORD\n    value: "X"',
        "name: DB_PASSWORD\nvalue: X",
        "- key: DB_PASSWORD\n  value: X",
        '- value: 5\n  name: PORT\n- name: DB_PASSWORD\n  value: "X"',
        '<property name="hibernate.connection.password">X</property>',
        '<property name="password"><value>X</value></property>',
        '<property name="password">\n  <value>X</value>\n</property>',
        '<param name="password">X</param>',
        '<env name="DB_PASSWORD">X</env>',
        '<string name="api_password">X</string>',
        "<key>Password</key>\n<string>X</string>",
        "<entry><key>Password</key><value>X</value></entry>",
        '<String><Key>Password</Key><Value ProtectInMemory="True">X</Value></String>',
        '<setting name="Password" serializeAs="String">\n  <value>X</value>',
        '{"Name":"AdminPassword","Type":"SecureString","Value":"X"}',
        '{\n  "Name": "AdminPassword",\n  "Type": "SecureString",\n  "Value": "X"\n}',
        '{"password":{"value":"X"}}',
        '{"password": {\n  "value": "X"\n}}',
        "ParameterKey=DBPassword,ParameterValue=X",
        'variable "db_password" {\n  type = string\n  default = "X"\n}',
    ],
)
def test_a_value_apart_from_its_name_is_masked(text: str) -> None:
    masked, count = mask_secrets(text.replace("X", VALUE))
    assert (VALUE in masked, count) == (False, 1)
    assert mask_secrets(masked) == (masked, 0)
    assert masked == text.replace("X", "[REDATTO: password]")


@pytest.mark.parametrize(
    "text",
    [
        '- name: password\n  in: query\n  description: Mario85x\n- name: port\n  value: "Porta8080"',
        "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password\n- name: X"
        "\n  value: Casa85x",
        '<string name="forgot_password">Dimenticata</string>',
        '<input name="password" value=""> Rossi85x',
        'variable "db_password" {\n  type = string\n}\nvariable "zone" {\n  default = "eu-west-1a"\n}',
        '{"Name": "password_hash", "Value": "argon2id85"}',
    ],
)
def test_a_value_of_another_setting_stays(text: str) -> None:
    assert mask_secrets(text) == (text, 0)


def test_a_key_reaches_no_further_than_its_entry() -> None:
    assert find_secrets("name: DB_PASSWORD\n" + "x: 1\n" * 60 + f"value: {VALUE}") == []
