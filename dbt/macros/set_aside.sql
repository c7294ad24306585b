{#
    Rows that break a rule are set aside: one bad row does not stop the others.

    ods.quarantine has a row for each change that was set aside: where it came from, its key, the column and the rule, and the
    value masked. An entry is resolved once a later change of the same key is taken: a correction at the source does that by itself.
    Until then the models behind know the row as it was before the change, or not at all when it was its first.
#}

{# What is in force for a landed table beside its types; macros/rules.sql is generated from the lake's tables and the flow file. #}
{% macro rules_of(table) -%}{{ return(rules().get(table, {'required': [], 'checks': []})) }}{%- endmacro %}

{#
    Everything that can be wrong with a change, in the order in which it is looked for: a list of {column, rule, broken}, where
    broken is a condition on `t`, the texts of the change.
#}
{% macro faults_of(table, columns, keys) -%}
    {%- set found = [
        {'column': 'row_key', 'rule': 'a JSON array', 'broken': "t.broken = 'row_key'"},
        {'column': 'image', 'rule': 'a JSON object', 'broken': "t.broken = 'image'"},
    ] -%}
    {%- for name, type in columns.items() if type != 'text' -%}
        {%- do found.append({
            'column': name, 'rule': said_type(type), 'broken': 't.' ~ name ~ ' is not null and ' ~ is_not(fits('t.' ~ name, type)),
        }) -%}
    {%- endfor -%}
    {%- set rules = rules_of(table) -%}
    {%- for name in keys -%}
        {%- do found.append({'column': name, 'rule': 'required', 'broken': missing('t.' ~ name, columns[name])}) -%}
    {%- endfor -%}
    {%- for name in rules.required if name not in keys and name in columns -%}
        {%- do found.append({'column': name, 'rule': 'required', 'broken': "t.operation <> 'd' and " ~ missing('t.' ~ name, columns[name])}) -%}
    {%- endfor -%}
    {%- for check in rules.checks -%}
        {%- do found.append({
            'column': check.column, 'rule': check.rule, 'broken': 't.' ~ check.column ~ ' is not null and ' ~ broken_check('t.' ~ check.column, check, columns[check.column]),
        }) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# A condition that is unknown counts as not met. #}
{% macro is_not(condition) -%}case when {{ condition }} then 0 else 1 end = 1{%- endmacro %}

{# A text without a character is no value of a column that must have one. #}
{% macro missing(text, type) -%}
    {%- if type.split('(')[0] in ('code', 'hex', 'text', 'json') -%}
        ({{ text }} is null or {{ is_empty(text) }})
    {%- else -%}
        {{ text }} is null
    {%- endif -%}
{%- endmacro %}

{% macro is_empty(text) -%}{{ return(adapter.dispatch('is_empty')(text)) }}{%- endmacro %}
{% macro default__is_empty(text) -%}{{ text }} = ''{%- endmacro %}
{% macro sqlserver__is_empty(text) -%}datalength({{ text }}) = 0{%- endmacro %}

{# A condition: a text that is not NULL breaks a check of the flow file. Its type was looked at before. #}
{% macro broken_check(text, check, type) -%}
    {%- if check.kind == 'one_of' -%}
        {{ exactly(text) }} not in ({% for one in check['values'] %}'{{ one | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %})
    {%- elif check.kind == 'min' and check.bound == '0' and type.split('(')[0] in ('money', 'rate', 'integer', 'bigint') -%}
        {#- A number without a minus is none below 0, and need not be read again. -#}
        {{ text }} like '%-%' and {{ is_not(number_of(text, type) ~ ' >= 0') }}
    {%- elif check.kind == 'min' -%}
        {{ is_not(number_of(text, type) ~ ' >= ' ~ check.bound) }}
    {%- elif check.kind == 'max' -%}
        {{ is_not(number_of(text, type) ~ ' <= ' ~ check.bound) }}
    {%- elif check.kind == 'max_length' -%}
        {{ length_of(text) }} > {{ check.bound }}
    {%- else -%}
        {{ is_not(fits(text, check.type)) }}
    {%- endif -%}
{%- endmacro %}

{# As a number that a bound can be compared with; NULL where it is none. What is a number by its type has been found to be one. #}
{% macro number_of(text, type) -%}{{ return(adapter.dispatch('number_of')(text, type)) }}{%- endmacro %}
{% macro default__number_of(text, type) -%}
    {%- if type.split('(')[0] in ('money', 'rate', 'integer', 'bigint') -%}
        cast({{ text }} as {{ column_type(type) }})
    {%- else -%}
        case when pg_input_is_valid({{ text }}, 'numeric') and {{ text }} <> 'NaN' then cast({{ text }} as numeric) end
    {%- endif -%}
{%- endmacro %}
{% macro sqlserver__number_of(text, type) -%}try_cast({{ text }} as numeric(38, 10)){%- endmacro %}

{# Compared by code points, whatever the collation of the database takes for the same. #}
{% macro exactly(text) -%}{{ return(adapter.dispatch('exactly')(text)) }}{%- endmacro %}
{% macro default__exactly(text) -%}{{ text }}{%- endmacro %}
{% macro sqlserver__exactly(text) -%}{{ text }} collate Latin1_General_100_BIN2{%- endmacro %}

{% macro length_of(text) -%}{{ return(adapter.dispatch('length_of')(text)) }}{%- endmacro %}
{% macro default__length_of(text) -%}length({{ text }}){%- endmacro %}
{% macro sqlserver__length_of(text) -%}datalength({{ text }}) / 2{%- endmacro %}

{# The column or the rule of a fault by its number. #}
{% macro said_of_fault(alias, faults, what) -%}
    cast(case when {{ alias }}.fault is not null then case {{ alias }}.fault
        {%- for fault in faults %} when {{ loop.index }} then '{{ fault[what] | replace("'", "''") | truncate(128, true, "…", 0) }}'{% endfor %} end end as varchar(128))
{%- endmacro %}

{# The value that breaks the rule, masked: of a number or a time its form, of anything else how long it is. #}
{% macro masked_fault(alias, faults) -%}
    cast(case when {{ alias }}.fault is not null then case {{ alias }}.fault
        {%- for fault in faults if fault.column not in ('image', 'row_key') %} when {{ loop.index + 2 }} then {{ masked(alias ~ '.' ~ fault.column) }}{% endfor %} end end as varchar(64))
{%- endmacro %}

{% macro masked(text) -%}{{ return(adapter.dispatch('masked')(text)) }}{%- endmacro %}
{% macro default__masked(text) -%}
    case when {{ text }} ~ '^[-+0-9.,:TZe ]+$' then left(translate({{ text }}, '0123456789', '9999999999'), 64) else concat(length({{ text }}), ' characters') end
{%- endmacro %}
{% macro sqlserver__masked(text) -%}
    case when {{ text }} not like '%[^-+0-9.,:TZe ]%' collate Latin1_General_100_BIN2 and datalength({{ text }}) > 0 then left(translate({{ text }}, '0123456789', '9999999999'), 64) else concat(datalength({{ text }}) / 2, ' characters') end
{%- endmacro %}

{% macro create_quarantine() %}
    {%- if execute %}
    {{ create_schema_if_missing('ods') }}
    {%- set position = 'position_major bigint not null, position_minor bigint not null' -%}
    {{ create_work_table('ods.quarantine',
        'table_name varchar(128) not null, ' ~ position ~ ', batch_id bigint not null, operation varchar(1) not null, row_key '
        ~ text_type() ~ ' not null, column_name varchar(128) not null, broken_rule varchar(128) not null, masked_value varchar(64), set_aside_at '
        ~ timestamp_type() ~ ' not null, resolved_at ' ~ timestamp_type() ~ ', constraint pk_quarantine primary key (table_name, position_major, position_minor)'
    ) }}
    {%- endif %}
{% endmacro %}

{# A post-hook of a typed copy, in the transaction of its rows: note what was set aside, and what a later change has resolved. #}
{% macro note_set_aside(keys) -%}
    {%- if execute -%}
    {%- set table = this.identifier -%}
    {%- if not is_incremental() %}
    delete from ods.quarantine where table_name = '{{ table }}';
    {%- endif %}
    insert into ods.quarantine (
        table_name, position_major, position_minor, batch_id, operation, row_key, column_name, broken_rule, masked_value, set_aside_at
    )
    select
        '{{ table }}', t.position_major, t.position_minor, t.batch_id, t.operation, c.row_key, t.fault_column, t.fault_rule, t.fault_value,
        {{ now_in_utc() }}
    from {{ this }} as t
    inner join {{ source('dl', table) }} as c
        on c.batch_id = t.batch_id and c.position_major = t.position_major and c.position_minor = t.position_minor
    where t.fault_rule is not null and {{ new_rows(table, 't') }}
    and not exists (
        select 1 from ods.quarantine as q
        where q.table_name = '{{ table }}' and q.position_major = t.position_major and q.position_minor = t.position_minor
    );
    {#- A correction that comes now, and a fault that comes late, behind its correction. #}
    {%- for newer in (['g', 'f'] if is_incremental() else ['g']) %}
    update ods.quarantine
    set resolved_at = {{ now_in_utc() }}
    where table_name = '{{ table }}' and resolved_at is null and exists (
        select 1
        from {{ this }} as f
        inner join {{ this }} as g
            on {% for key in keys %}g.{{ key }} = f.{{ key }} and {% endfor -%}
            (g.position_major > f.position_major or g.position_major = f.position_major and g.position_minor > f.position_minor)
        where f.position_major = quarantine.position_major and f.position_minor = quarantine.position_minor
        and g.fault_rule is null and {{ new_rows(table, newer) }}
    );
    {%- endfor %}
    {#- What has a key that does not fit, and was deleted since, is gone: nothing is missing. #}
    update ods.quarantine
    set resolved_at = {{ now_in_utc() }}
    where table_name = '{{ table }}' and resolved_at is null and column_name in ('{{ keys | join("', '") }}') and exists (
        select 1 from ods.quarantine as d
        where d.table_name = '{{ table }}' and d.operation = 'd' and d.row_key = quarantine.row_key
        and (d.position_major > quarantine.position_major or d.position_major = quarantine.position_major and d.position_minor >= quarantine.position_minor)
    );
    {%- endif -%}
{%- endmacro %}

{% macro now_in_utc() -%}{{ return(adapter.dispatch('now_in_utc')()) }}{%- endmacro %}
{% macro default__now_in_utc() -%}cast(current_timestamp at time zone 'UTC' as timestamp){%- endmacro %}
{% macro sqlserver__now_in_utc() -%}sysutcdatetime(){%- endmacro %}
