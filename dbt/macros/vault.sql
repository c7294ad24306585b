{#
    The raw vault. Everything is only ever inserted; a row's key is a hash by the contract of macros/hash.sql.

    hub        one row a business key, from every input that mentions the key
    link       one row a combination of keys; {entity}_hk names the thing that joins them
    satellite  one row a change of a thing, keyed by its hash key and the change's position in the journal; never
               compared with "the latest": validity is a LEAD over positions in the view {entity}_history, so late and
               shuffled batches fall into place

    Each starts with a ghost record, the target of references that are empty.
#}

{# inputs: list of (model, list of the key's columns in it). A key with a NULL in it refers to nothing and is left out. #}
{% macro hub(entity, key, inputs) %}
with mentioned as (
    {%- for input in inputs %}
    select
        {%- for column in input[1] %}
        s.{{ column }} as {{ key[loop.index0] }},
        {%- endfor %}
        s.batch_id
    from {{ ref(input[0]) }} as s
    where {{ taken('s') }} and {{ new_rows(input[0], 's') }}
        {%- for column in input[1] %} and s.{{ column }} is not null{% endfor %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

keys as (
    select {{ key | join(', ') }}, min(batch_id) as batch_id from mentioned group by {{ key | join(', ') }}
),

hashed as (
    select {{ hash_of(key) }} as {{ entity }}_hk, batch_id, {{ key | join(', ') }} from keys
)

select h.{{ entity }}_hk, h.batch_id{% for column in key %}, h.{{ column }}{% endfor %}
from hashed as h
{%- if is_incremental() %}
where not exists (select 1 from {{ this }} as t where t.{{ entity }}_hk = h.{{ entity }}_hk)
{%- else %}
union all
select {{ ghost_key() }}, -1{% for column in inputs[0][1] %}, s.{{ column }}{% endfor %}
{{ nothing_of(ref(inputs[0][0])) }}
{%- endif %}
{% endmacro %}

{#
    input: the model of typed changes. key: the columns that make the thing's own key.
    hubs: hub → list of its key's columns in the input. kept: columns of the input that go into the link as they are.
#}
{% macro link(entity, input, key, hubs, kept) %}
{%- set parts = key + hubs.values() | sum(start=[]) | reject('in', key) | list -%}
with stated as (
    select {{ parts | join(', ') }}{% for column in kept if column not in parts %}, {{ column }}{% endfor %}, min(s.batch_id) as batch_id
    from {{ ref(input) }} as s
    where s.operation <> 'd' and {{ taken('s') }} and {{ new_rows(input, 's') }}
    group by {{ parts | join(', ') }}{% for column in kept if column not in parts %}, {{ column }}{% endfor %}
),

hashed as (
    select
        {{ hash_of(parts) }} as link_hk,
        {%- if entity not in hubs %}
        {{ hash_of(key) }} as {{ entity }}_hk,
        {%- endif %}
        {%- for name, columns in hubs.items() %}
        {{ hash_of(columns) }} as {{ name }}_hk,
        {%- endfor %}
        {%- for column in kept %}
        {{ column }},
        {%- endfor %}
        batch_id
    from stated
)

select h.*
from hashed as h
{%- if is_incremental() %}
where not exists (select 1 from {{ this }} as t where t.link_hk = h.link_hk)
{%- else %}
union all
select
    {{ ghost_key() }},
    {%- if entity not in hubs %} {{ ghost_key() }},{% endif %}
    {%- for name in hubs %} {{ ghost_key() }},{% endfor %}
    {%- for column in kept %} s.{{ column }},{% endfor %} -1
{{ nothing_of(ref(input)) }}
{%- endif %}
{% endmacro %}

{# payload: columns of the input. link_parts: as the link of the same thing hashes them; none for a hub's satellite. #}
{% macro satellite(entity, input, key, payload, link_parts=none) %}
with changes as (
    select
        {{ hash_of(key) }} as {{ entity }}_hk,
        s.position_major,
        s.position_minor,
        s.batch_id,
        s.operation,
        s.captured_at,
        s.image_hash
        {%- if link_parts %},
        case when s.operation = 'd' then {{ ghost_key() }} else {{ hash_of(link_parts) }} end as link_hk
        {%- endif %}
        {%- for column in payload %},
        s.{{ column }}
        {%- endfor %}
    from {{ ref(input) }} as s
    where {{ taken('s') }} and {{ new_rows(input, 's') }}
)

select c.*
from changes as c
{%- if is_incremental() %}
where not exists (
    select 1 from {{ this }} as t
    where t.{{ entity }}_hk = c.{{ entity }}_hk
    and t.position_major = c.position_major and t.position_minor = c.position_minor
)
{%- else %}
union all
select
    {{ ghost_key() }}, 0, 0, -1, 'g', cast('1900-01-01' as {{ timestamp_type() }}), {{ ghost_key() }}
    {%- if link_parts %}, {{ ghost_key() }}{% endif %}
    {%- for column in payload %}, s.{{ column }}{% endfor %}
{{ nothing_of(ref(input)) if payload }}
{%- endif %}
{% endmacro %}

{# One row of NULLs that have the types of `relation`'s columns, as `s`: an untyped NULL would widen them. #}
{% macro nothing_of(relation) -%}
from (select 1 as one) as o
left join {{ relation }} as s on 1 = 0
{%- endmacro %}

{#
    What was so from when to when: the rows of a satellite with valid_from, valid_to, is_current and is_deleted.

    Each change holds until the next position's. The order is the journal's alone: clocks of several writers disagree, so a
    change holds from the latest instant that it or any change before it was captured at, and an interval may be empty but
    never ends before it begins. The first holds since ever: what came before it was captured is not known otherwise, and
    value dates lie before capture.
    only: a condition on alias `s`, for the keys that one run is about; it must not split a key's rows.
#}
{% macro history_of(satellite, entity, only='1 = 1') %}
    select
        h.*,
        case when h.version_number = 1 then cast('1900-01-01' as {{ timestamp_type() }}) else h.known_at end as valid_from,
        case
            when h.versions_after = 1 then cast('9999-12-31' as {{ timestamp_type() }})
            else {{ larger('h.next_captured_at', 'h.known_at') }}
        end as valid_to,
        case when h.versions_after = 1 then 1 else 0 end as is_current,
        case when h.operation = 'd' then 1 else 0 end as is_deleted
    from (
        select
            s.*,
            row_number() over (partition by s.{{ entity }}_hk order by s.position_major, s.position_minor) as version_number,
            row_number() over (partition by s.{{ entity }}_hk order by s.position_major desc, s.position_minor desc) as versions_after,
            lead(s.captured_at) over (partition by s.{{ entity }}_hk order by s.position_major, s.position_minor) as next_captured_at,
            max(s.captured_at) over (
                partition by s.{{ entity }}_hk order by s.position_major, s.position_minor rows unbounded preceding
            ) as known_at
        from {{ satellite }} as s
        where {{ only }}
    ) as h
{% endmacro %}

{# The rows of things as they are now, deleted ones left out. `only` as for history_of. #}
{% macro current_of(satellite, entity, only='1 = 1') %}
    {%- set changes -%}
        select s.*
        from {{ satellite }} as s
        where s.operation <> 'g' and {{ only }}
    {%- endset %}
    select h.*
    from ({{ last_of_each(changes, [entity ~ '_hk'], ['position_major', 'position_minor']) }}) as h
    where h.operation <> 'd'
{% endmacro %}

{#
    Of a query's rows the last one of each key, by columns that order them; or the first one. keys and order: lists of columns.

    PostgreSQL says it with DISTINCT ON, of which its planner knows how many rows come out. A filter on ROW_NUMBER it takes for one row in 200, so
    for one at most: it then joins what is left of thousands of keys by comparing every row with every other.
#}
{% macro last_of_each(rows, keys, order, first=false) -%}{{ return(adapter.dispatch('last_of_each')(rows, keys, order, ' asc' if first else ' desc')) }}{%- endmacro %}
{% macro default__last_of_each(rows, keys, order, direction) %}
        select distinct on ({% for key in keys %}o.{{ key }}{{ ', ' if not loop.last }}{% endfor %}) o.*
        from ({{ rows }}) as o
        order by {% for column in keys + order %}o.{{ column }}{{ direction }}{{ ', ' if not loop.last }}{% endfor %}
{% endmacro %}
{% macro sqlserver__last_of_each(rows, keys, order, direction) %}
        select n.*
        from (
            select
                o.*,
                row_number() over (
                    partition by {% for key in keys %}o.{{ key }}{{ ', ' if not loop.last }}{% endfor %}
                    order by {% for column in order %}o.{{ column }}{{ direction }}{{ ', ' if not loop.last }}{% endfor %}
                ) as nth
            from ({{ rows }}) as o
        ) as n
        where n.nth = 1
{% endmacro %}

{#
    A condition behind one of equal hash keys: both rows are of the same change. As two more equalities the planner would take it for one row in
    millions, though it holds for one version of every key; said so, it takes it for true of whatever the keys leave.
#}
{% macro same_position(left, right, prefix) -%}
    case when {{ left }}.position_major = {{ right }}.{{ prefix }}position_major and {{ left }}.position_minor = {{ right }}.{{ prefix }}position_minor then 1 else 0 end <> 0
{%- endmacro %}
