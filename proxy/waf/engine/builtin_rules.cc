#include "proxy/waf/engine/builtin_rules.h"

namespace edge::waf {

const std::string_view kBuiltinRules = R"seclang(
SecRuleEngine On
SecRequestBodyAccess On
SecDefaultAction "phase:1,log,deny,status:403"
SecDefaultAction "phase:2,log,deny,status:403"

# --- Bodies

SecRule REQBODY_ERROR "!@eq 0" \
    "id:102,phase:2,t:none,block,severity:CRITICAL,msg:'The body is not what its type says',\
    logdata:'%{REQBODY_ERROR_MSG}'"

# --- Requests that no browser or API client makes

SecRule REQUEST_METHOD "@within TRACE TRACK DEBUG CONNECT" \
    "id:110,phase:1,t:none,block,severity:ERROR,msg:'Method that only diagnosis needs'"
SecRule REQUEST_URI_RAW|REQUEST_HEADERS|ARGS_GET|ARGS_GET_NAMES "@rx \x00" \
    "id:111,phase:1,t:none,t:urlDecodeUni,block,severity:CRITICAL,msg:'Null byte'"
SecRule REQUEST_HEADERS:User-Agent "@pm sqlmap nikto nessus openvas masscan dirbuster gobuster wpscan \
    acunetix netsparker havij zgrab nuclei jaeles w3af arachni fimap commix" \
    "id:112,phase:1,t:none,block,severity:WARNING,msg:'Vulnerability scanner'"
SecRule ARGS_GET|ARGS_GET_NAMES "@rx [\r\n][\s\x0b]*(?:content-(?:type|length)|set-cookie|location)[\s\x0b]*:" \
    "id:113,phase:1,t:none,t:lowercase,block,severity:CRITICAL,msg:'Header in an argument'"

# --- Files

SecRule REQUEST_URI_RAW|ARGS|REQUEST_HEADERS:Referer|FILES \
    "@rx (?:^|[\x5c/;=])\.\.+[\x5c/;]|%2e%2e(?:[\x5c/]|%2f|%5c)|\.\.(?:%2f|%5c|%c0%af|%25)" \
    "id:120,phase:2,t:none,t:lowercase,block,severity:CRITICAL,msg:'Path traversal',capture,\
    logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"
SecRule REQUEST_URI|ARGS|ARGS_NAMES \
    "@pm /etc/passwd /etc/shadow /etc/hosts /proc/self/ /proc/version c:/windows/ c:/boot.ini win.ini \
    .ssh/id_rsa .aws/credentials .git/config .svn/entries .htpasswd" \
    "id:121,phase:2,t:none,t:urlDecodeUni,t:normalizePathWin,block,severity:CRITICAL,\
    msg:'Path of a file of the system',logdata:'%{MATCHED_VAR_NAME}'"
SecRule REQUEST_FILENAME "@rx /\.(?:git|svn|hg|env|ssh|aws|htaccess|htpasswd|DS_Store)(?:/|$|\.)" \
    "id:122,phase:1,t:none,t:normalizePathWin,block,severity:CRITICAL,msg:'Hidden file'"
SecRule ARGS "@rx ^(?:file|gopher|dict|ldap|phar|expect|zip|php|data|jar|netdoc)://?[^/\s]" \
    "id:123,phase:2,t:none,t:lowercase,block,severity:CRITICAL,msg:'Address of an odd scheme'"

# --- SQL

SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_FILENAME|XML:/* "@detectSQLi" \
    "id:130,phase:2,t:none,t:utf8toUnicode,t:urlDecodeUni,t:removeNulls,block,severity:CRITICAL,\
    msg:'SQL injection',capture,logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* \
    "@rx (?:\bunion\b.{1,100}?\bselect\b|\bselect\b.{1,100}?\bfrom\b.{1,100}?\bwhere\b|;\s*(?:drop|alter|truncate)\s+(?:table|database)\b|\binto\s+(?:out|dump)file\b|\b(?:sleep|benchmark|pg_sleep|waitfor\s+delay)\s*\(?\s*['0-9])" \
    "id:131,phase:2,t:none,t:urlDecodeUni,t:replaceComments,t:lowercase,t:compressWhitespace,block,\
    severity:CRITICAL,msg:'SQL statement',capture,logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"

# --- Scripts in pages

SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_HEADERS:User-Agent|REQUEST_HEADERS:Referer|XML:/* \
    "@detectXSS" \
    "id:140,phase:2,t:none,t:utf8toUnicode,t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode,t:cssDecode,\
    t:removeNulls,block,severity:CRITICAL,msg:'Cross-site scripting',\
    logdata:'%{MATCHED_VAR_NAME}'"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_FILENAME|XML:/* \
    "@rx <script[\s/>]|javascript:[^\s]*[(=`]|<(?:iframe|object|embed|svg|math)[\s/][^>]*\bon[a-z]{3,20}\s*=" \
    "id:141,phase:2,t:none,t:urlDecodeUni,t:htmlEntityDecode,t:lowercase,t:removeNulls,block,\
    severity:CRITICAL,msg:'Script',capture,logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"

# --- Commands and code

SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_HEADERS:User-Agent|REQUEST_HEADERS:Referer|XML:/* \
    "@rx (?:[;|&`]|\$\(|&&|\|\|)\s*(?:/(?:usr/)?s?bin/)?(?:cat|curl|wget|nc|ncat|netcat|bash|sh|zsh|python[23]?|perl|ruby|id|whoami|uname|ping|nslookup|chmod|powershell|cmd(?:\.exe)?)(?:[\s;|&`<>)/]|$)" \
    "id:150,phase:2,t:none,t:urlDecodeUni,t:lowercase,block,severity:CRITICAL,msg:'Shell command',\
    capture,logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"
SecRule REQUEST_HEADERS|ARGS "@rx \(\s*\)\s*\{\s*[^}]{0,20};\s*\}\s*;" \
    "id:151,phase:2,t:none,t:urlDecodeUni,block,severity:CRITICAL,msg:'Shellshock'"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|FILES|XML:/* \
    "@rx <\?(?:php\b|=)|\b(?:eval|assert|system|exec|passthru|shell_exec|popen|proc_open|base64_decode)\s*\(\s*(?:\$_(?:get|post|request|cookie|server)|['\x22][^'\x22]{1,200}['\x22]\s*\)\s*;)" \
    "id:152,phase:2,t:none,t:urlDecodeUni,t:lowercase,block,severity:CRITICAL,msg:'PHP code',\
    capture,logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"
SecRule FILES "@rx \.(?:php\d?|phtml|phar|jspx?|aspx?|ashx|cgi|pl)\.?$" \
    "id:153,phase:2,t:none,t:lowercase,block,severity:CRITICAL,msg:'Upload of a script'"
SecRule REQUEST_LINE|REQUEST_HEADERS|ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* \
    "@rx \$\{\s*(?:jndi\s*:|\$?\{?(?:lower|upper|env|sys|date|::-)[^}]{0,40}\}?.{0,60}:)" \
    "id:154,phase:2,t:none,t:urlDecodeUni,t:jsDecode,t:lowercase,block,severity:CRITICAL,\
    msg:'Log4j lookup',capture,logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_HEADERS:Content-Type|XML:/* \
    "@rx java\.lang\.(?:runtime|processbuilder)|javax\.script\.scriptenginemanager|ognl\.ognlcontext|\bclass\.(?:module\.)?classloader\b|#_memberaccess|\bruntime\.getruntime\(\)" \
    "id:155,phase:2,t:none,t:urlDecodeUni,t:lowercase,block,severity:CRITICAL,msg:'Java code',\
    capture,logdata:'%{TX.0} in %{MATCHED_VAR_NAME}'"
SecRule ARGS|REQUEST_BODY "@rx (?:^|[\s:\x22])(?:rO0AB[A-Za-z0-9+/]{8}|aced0005[0-9a-f]{8})" \
    "id:156,phase:2,t:none,block,severity:CRITICAL,msg:'Serialized Java object'"
SecRule ARGS|ARGS_NAMES|XML:/* "@rx \{\{.{0,60}(?:__class__|__mro__|__globals__|constructor\.constructor|self\._).{0,200}\}\}" \
    "id:157,phase:2,t:none,t:urlDecodeUni,t:lowercase,block,severity:CRITICAL,msg:'Template code'"
SecRule ARGS_NAMES "@rx (?:^|[.\[])(?:__proto__|constructor\.prototype|constructor\]\[prototype)" \
    "id:158,phase:2,t:none,t:urlDecodeUni,block,severity:CRITICAL,msg:'Prototype of a JavaScript object'"
SecRule REQUEST_BODY "@rx <!(?:doctype|entity)[^>]{0,200}\b(?:system|public)\b[^>]{0,200}['\x22]" \
    "id:159,phase:2,t:none,t:lowercase,block,severity:CRITICAL,msg:'External entity in XML',chain"
    SecRule REQBODY_PROCESSOR "@streq XML" "t:none"
)seclang";

}  // namespace edge::waf
