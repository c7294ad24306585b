{#
    A typed copy of a landed table: one row a change, all operations, each position once.

    columns: member of the image → its type: code(n), text(n), text, integer, bigint, money, rate, date, timestamp, flag, uuid, hex(n).
    keys: the members that make the key; a delete has no image, only these, from its row_key.
    A window that was loaded again comes under another batch id; the lowest one stays.
    A text that its type cannot hold exactly ends the build, as does what is no JSON: macros/typed.sql.
#}
{% macro typed_changes(table, columns, keys) %}
with landed as (
    select
        c.batch_id,
        c.position_major,
        c.position_minor,
        c.operation,
        {{ landed_json(table, 'c', 'row_key') }} as row_key,
        {{ landed_json(table, 'c', 'image') }} as image,
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
        {{ hash_of(['c.image']) }} as image_hash
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
)

select
    t.batch_id,
    t.position_major,
    t.position_minor,
    t.operation,
    t.captured_by,
    t.traceparent,
    t.captured_at,
    t.image_hash
    {%- for name, type in columns.items() %},
    {{ typed_member(table, 't', name, type) }} as {{ name }}
    {%- endfor %}
from texts as t
{% endmacro %}

{% macro quoted_member(name) -%}{{ return(adapter.quote(name)) }}{%- endmacro %}

{#
    Text from outside in the collation of the warehouse. Landed columns have collations of their own, OPENJSON gives yet
    another; SQL Server compares and unites only what has the same (errors 451 and 468).
#}
{% macro collated(text) -%}{{ return(adapter.dispatch('collated')(text)) }}{%- endmacro %}
{% macro default__collated(text) -%}{{ text }}{%- endmacro %}
{% macro sqlserver__collated(text) -%}{{ text }} collate database_default{%- endmacro %}
