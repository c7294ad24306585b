{# Written in place: replacing the table would drop the views on it. #}
{{ config(pre_hook=["{{ delete_all() }}"]) }}

with {{ number_spine(3) }},

month_ends as (
    select {{ month_end(add_months("cast('" ~ var('calendar_start') ~ "' as date)", 's.n')) }} as snapshot_date
    from spine as s
    where s.n < 12 * 60
),

reported as (
    select {{ as_of_date() }} as as_of_date
)

select
    cast('month_end' as varchar(9)) as snapshot_kind,
    m.snapshot_date,
    {{ month_end(add_months('m.snapshot_date', -1)) }} as previous_month_end
from month_ends as m
cross join reported as r
where m.snapshot_date <= r.as_of_date
union all
select 'as_of', r.as_of_date, {{ add_days(month_start('r.as_of_date'), -1) }}
from reported as r
