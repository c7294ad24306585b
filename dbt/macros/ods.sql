{#
    A typed copy of a landed table: one row a change, all operations, each position once.

    columns: member of the image → its type: code(n), text(n), text, json, integer, bigint, money, rate, date, timestamp, flag, uuid, hex(n).
    keys: the members that make the key; a delete has no image, only these, from its row_key.
    A window that was loaded again comes under another batch id; the lowest one stays.

    A change that breaks a rule is here too, as nothing may be lost, but set aside: `fault_rule` says why, of its members it has
    only the keys, and no model reads it (`taken`). The rules are those of the types (macros/typed.sql), of the lake's columns and of
    the flow file (macros/rules.sql); macros/set_aside.sql keeps the list of what is set aside.
#}
{% macro typed_changes(table, columns, keys) %}
{%- set faults = faults_of(table, columns, keys) -%}
with landed as (
    select
        c.batch_id,
        c.position_major,
        c.position_minor,
        c.operation,
        c.image as landed_image,
        case when {{ is_json('c.row_key', '[') }} then c.row_key end as row_key,
        case when {{ is_json('c.image') }} then c.image end as image,
        c.actor,
        c.traceparent,
        c.captured_at,
        row_number() over (partition by c.position_major, c.position_minor order by c.batch_id) as copy_number
    from {{ source('dl', table) }} as c
    where {{ new_rows(table, 'c') }}
    {%- if is_incremental() %}
    and not exists (
        select 1 from {{ this }} as t
        where t.position_major = c.position_major and t.position_minor = c.position_minor
    )
    {%- endif %}
),

texts as (
    select
        c.batch_id,
        c.position_major,
        c.position_minor,
        {{ collated('c.operation') }} as operation,
        {{ collated('c.actor') }} as captured_by,
        {{ collated('c.traceparent') }} as traceparent,
        c.captured_at,
        {{ hash_of(['c.landed_image']) }} as image_hash,
        case
            when c.row_key is null then 'row_key'
            when c.landed_image is null and c.operation <> 'd' then 'image'
            when c.landed_image is not null and c.image is null then 'image'
        end as broken
        {%- for name in columns %},
        {% set text = collated('i.' ~ quoted_member(name)) -%}
        {%- if name in keys -%}
            coalesce({{ text }}, {{ collated(json_element('c.row_key', keys.index(name))) }})
        {%- else -%}
            {{ text }}
        {%- endif %} as {{ name }}
        {%- endfor %}
    from landed as c
    {{ json_members('c.image', columns.keys() | list, 'i') }}
    where c.copy_number = 1
),

-- Which rule a change breaks, the first of them, by its number.
judged as (
    select
        t.*,
        case
            {%- for fault in faults %}
            when {{ fault.broken }} then {{ loop.index }}
            {%- endfor %}
        end as fault
    from texts as t{{ computed_once() }}
)

select
    j.batch_id,
    j.position_major,
    j.position_minor,
    j.operation,
    j.captured_by,
    j.traceparent,
    j.captured_at,
    j.image_hash,
    {{ said_of_fault('j', faults, 'column') }} as fault_column,
    {{ said_of_fault('j', faults, 'rule') }} as fault_rule,
    {{ masked_fault('j', faults) }} as fault_value
    {%- for name, type in columns.items() %},
    case
        when j.fault is null and j.{{ name }} is not null then {{ cast_member('j.' ~ name, type) }}
        {%- if name in keys %}
        when j.{{ name }} is null then null
        when {{ fits('j.' ~ name, type) }} then {{ cast_member('j.' ~ name, type) }}
        {%- endif %}
    end as {{ name }}
    {%- endfor %}
from judged as j
{% endmacro %}

{# A condition: a change that was not set aside. #}
{% macro taken(alias) -%}{{ alias }}.fault_rule is null{%- endmacro %}

{# Behind a subquery: PostgreSQL would compute an expression of it again wherever it is used. #}
{% macro computed_once() -%}{{ return(adapter.dispatch('computed_once')()) }}{%- endmacro %}
{% macro default__computed_once() %}
    offset 0{%- endmacro %}
{% macro sqlserver__computed_once() -%}{%- endmacro %}

{% macro quoted_member(name) -%}{{ return(adapter.quote(name)) }}{%- endmacro %}

{#
    Text from outside in the collation of the warehouse. Landed columns have collations of their own, OPENJSON gives yet
    another; SQL Server compares and unites only what has the same (errors 451 and 468).
#}
{% macro collated(text) -%}{{ return(adapter.dispatch('collated')(text)) }}{%- endmacro %}
{% macro default__collated(text) -%}{{ text }}{%- endmacro %}
{% macro sqlserver__collated(text) -%}{{ text }} collate database_default{%- endmacro %}
