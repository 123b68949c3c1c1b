"""The configuration that CRS's regression cases ask for (tests/regression/README.md of CRS), as SecLang that libmodsecurity
and edge both read; and which rules a paranoia level leaves out."""

import pathlib
import re

# Detection only, all paranoia levels, no blocking by earlier requests, and the limits that cases reach.
CONFIGURATION = """\
Include {modsecurity}/modsecurity.conf-recommended
SecRuleEngine DetectionOnly
SecAuditEngine Off
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
Include {crs}/crs-setup.conf.example
SecAction "id:900005,phase:1,nolog,pass,ctl:ruleEngine=DetectionOnly,ctl:ruleRemoveById=910000,\\
  setvar:tx.paranoia_level={level},setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,\\
  setvar:tx.arg_length=400,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
Include {crs}/rules/*.conf
"""


def write_configuration(path, crs, modsecurity, level):
    pathlib.Path(path).write_text(
        CONFIGURATION.format(crs=pathlib.Path(crs).resolve(), modsecurity=pathlib.Path(modsecurity).resolve(), level=level))


def levels_of_rules(crs):
    """{id: paranoia level}: the rules of a level stand behind the one that skips them below it."""
    levels = {}
    for path in sorted(pathlib.Path(crs, "rules").glob("*.conf")):
        level = 1
        for line in path.read_text().splitlines():
            number = re.match(r'[^#]*\bid:(\d+)', line)
            if number:
                levels[int(number[1])] = level
            skip = re.match(r'SecRule TX:EXECUTING_PARANOIA_LEVEL "@lt (\d)"', line)
            if skip:
                level = int(skip[1])
    return levels
