{#
    A typed copy of a landed table: one row a change, all operations, each position once.

    columns: member of the image → its type: code(n), text(n), text, integer, bigint, money, rate, date, timestamp, flag, uuid, hex(n).
    keys: the members that make the key; a delete has no image, only these, from its row_key.
    A window that was loaded again comes under another batch id; the lowest one stays.
#}
{% macro typed_changes(table, columns, keys) %}
with landed as (
    select
        c.batch_id,
        c.position_major,
        c.position_minor,
        c.operation,
        c.row_key,
        c.image,
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
)

select
    c.batch_id,
    c.position_major,
    c.position_minor,
    c.operation,
    c.actor as captured_by,
    c.traceparent,
    c.captured_at,
    {{ hash_of(['c.image']) }} as image_hash
    {%- for name, type in columns.items() %},
    {% set text = 'i.' ~ quoted_member(name) -%}
    {%- if name in keys -%}
        {%- set text = 'coalesce(' ~ text ~ ', ' ~ json_element('c.row_key', keys.index(name)) ~ ')' -%}
    {%- endif -%}
    {{ typed_member(text, type) }} as {{ name }}
    {%- endfor %}
from landed as c
{{ json_members('c.image', columns.keys() | list, 'i') }}
where c.copy_number = 1
{% endmacro %}

{% macro quoted_member(name) -%}{{ return(adapter.quote(name)) }}{%- endmacro %}

{% macro typed_member(text, type) -%}
    {%- if type == 'flag' -%}
        {{ flag_of(text) }}
    {%- else -%}
        {%- set size = type.split('(')[1][:-1] if '(' in type else none -%}
        {%- set kind = type.split('(')[0] -%}
        {%- set types = {
            'uuid': 'varchar(36)', 'code': 'varchar(' ~ size ~ ')', 'hex': 'varchar(' ~ size ~ ')',
            'text': text_type(size), 'integer': 'integer', 'bigint': 'bigint', 'money': 'numeric(19, 4)',
            'rate': 'numeric(9, 6)', 'date': 'date', 'timestamp': timestamp_type(),
        } -%}
        cast({{ text }} as {{ types[kind] }})
    {%- endif -%}
{%- endmacro %}
