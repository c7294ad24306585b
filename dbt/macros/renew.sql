{#
    The strategy of models that derive rows from keys: the rows of the keys that a run is about are made anew and compared with
    those that are there; only what differs is taken out and put in. So a payment that comes today writes today's rows of its
    loan and not those of the years before, and the parts that get another version are those in which something is different.

    note_affected() is the model's pre-hook: it notes the keys in a table of the model's own, with statistics, which the body
    reads by with_affected(). The model's configuration names them: unique_key the columns that make a row, meta.affected_key
    the column that has the key, meta.parts what lies in which part (macros/parts.sql).
#}
{% macro affected_table() -%}ods.affected_{{ this.identifier }}{%- endmacro %}

{# affected: one of the macros of macros/affected.sql, rendered: a query of one column. #}
{% macro note_affected(affected) -%}
    {%- if is_incremental() -%}
    truncate table {{ affected_table() }};
    insert into {{ affected_table() }} (affected_key)
    select distinct k.affected_key from (
{{ affected }}
    ) as k(affected_key);
    {{ gather_statistics(affected_table()) }}
    {%- if config.get('meta').get('parts') %}
    {# A table that was there before its parts had versions: nobody has read them. #}
    {{ note_parts(parts_of(
        '(select t.* from ' ~ this ~ " as t where not exists (select 1 from ods.part as p where p.model = '" ~ this.identifier ~ "')) as x",
        config.get('meta').parts,
    )) }}
    {%- endif %}
    {%- endif -%}
{%- endmacro %}

{# A post-hook: a run that is over is about nothing. #}
{% macro forget_affected() -%}
    {%- if config.get('incremental_strategy') == 'renew' and is_incremental() -%}
    truncate table {{ affected_table() }};
    {%- endif -%}
{%- endmacro %}

{% macro get_incremental_renew_sql(args) -%}
    {{ renewed(args.target_relation, args.temp_relation, args.unique_key, args.dest_columns | map(attribute='name') | list) }}
{%- endmacro %}

{# made: the relation of the rows as they are to be. #}
{% macro renewed(target, made, keys, columns) -%}
    {%- set key = config.get('meta').affected_key -%}
    {%- set gone -%}
        x.{{ key }} in (select a.affected_key from {{ affected_table() }} as a) and not exists (
            select 1 from {{ made }} as y where {{ same_key(keys) }} and {{ same_row('x', 'y', columns) }}
        )
    {%- endset -%}
    {%- set parts = config.get('meta').get('parts') -%}
    {%- if parts -%}
    {{ note_parts(
        parts_of('(select x.* from ' ~ target ~ ' as x where ' ~ gone ~ ') as x', parts)
        ~ ' union all '
        ~ parts_of('(select x.* from ' ~ made ~ ' as x where not exists (select 1 from ' ~ target ~ ' as y where ' ~ same_key(keys) ~ ' and ' ~ same_row('x', 'y', columns) ~ ')) as x', parts)
    ) }}
    {%- endif %}
    {{ delete_as_x(target) }} where {{ gone }};
    insert into {{ target }} ({{ get_quoted_csv(columns) }})
    select {{ columns_of('x', columns) }}
    from {{ made }} as x
    where not exists (select 1 from {{ target }} as y where {{ same_key(keys) }});
{%- endmacro %}

{% macro same_key(keys) -%}
    {%- for key in keys %}y.{{ key }} = x.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}

{% macro columns_of(alias, columns) -%}
    {%- for column in columns %}{{ alias }}.{{ adapter.quote(column) }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# Whether all columns are the same, NULL like NULL. #}
{% macro same_row(a, b, columns) -%}{{ return(adapter.dispatch('same_row')(a, b, columns)) }}{%- endmacro %}
{% macro default__same_row(a, b, columns) -%}
    ({{ columns_of(a, columns) }}) is not distinct from ({{ columns_of(b, columns) }})
{%- endmacro %}
{% macro sqlserver__same_row(a, b, columns) -%}
    exists (select {{ columns_of(a, columns) }} intersect select {{ columns_of(b, columns) }})
{%- endmacro %}

{% macro delete_as_x(relation) -%}{{ return(adapter.dispatch('delete_as_x')(relation)) }}{%- endmacro %}
{% macro default__delete_as_x(relation) -%}delete from {{ relation }} as x{%- endmacro %}
{% macro sqlserver__delete_as_x(relation) -%}delete x from {{ relation }} as x{%- endmacro %}
